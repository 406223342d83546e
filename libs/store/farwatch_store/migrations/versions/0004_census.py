"""Indexes for finding monitors that are not up, and any by name."""

from farwatch_store.migrations.script import execute_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute_file("0004_census.sql")
