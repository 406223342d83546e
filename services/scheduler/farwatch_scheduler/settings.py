"""What can be set."""

from farwatch_runtime.settings import DatabaseSettings


class SchedulerSettings(DatabaseSettings):
    """Connections only: intervals belong to the monitors."""
