"""What people change: the row, the version and the event, in one transaction."""
