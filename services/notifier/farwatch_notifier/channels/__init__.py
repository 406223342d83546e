"""One module a channel type; `farwatch_notifier.registry` lists them."""
