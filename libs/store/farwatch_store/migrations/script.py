"""Running a plain SQL file inside a migration."""

from importlib import resources
from typing import Any

from alembic import op


def execute_file(name: str) -> None:
    """Executes `sql/<name>` as one script in the migration's transaction.

    Through the driver, because SQLAlchemy prepares statements and PostgreSQL prepares only one at a time.
    """
    script = resources.files("farwatch_store.migrations").joinpath("sql", name).read_text("utf-8")
    bind = op.get_bind()
    # The driver's transaction starts with the first statement that goes through SQLAlchemy.
    bind.exec_driver_sql("select 1")
    adapted: Any = bind.connection.dbapi_connection
    adapted.run_async(lambda connection: connection.execute(script, timeout=300))
