"""The first schema."""

from farwatch_store.migrations.script import execute_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute_file("0001_first.sql")
