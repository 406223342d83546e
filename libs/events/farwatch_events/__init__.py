"""The shared vocabulary of Farwatch: messages, domain events, subjects and the monitor specification."""
