"""Reading: named SQL with a line of why, and thin functions over it."""
