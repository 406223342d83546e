"""Times in which nobody looked at all."""

from farwatch_store.migrations.script import execute_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute_file("0003_dark_spans.sql")
