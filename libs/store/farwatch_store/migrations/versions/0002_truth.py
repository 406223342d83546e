"""Recurring maintenance, grouped incidents, parked messages."""

from farwatch_store.migrations.script import execute_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute_file("0002_truth.sql")
