"""Who may come in: set-up, passwords, sessions, tokens, throttling."""
