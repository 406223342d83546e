"""REST, live updates, and the server side of the dashboard."""
