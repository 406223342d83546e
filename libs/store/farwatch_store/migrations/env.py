"""Alembic's entry: the connection comes from farwatch_store.migrate, there is no other way in."""

from alembic import context

from farwatch_store.revision import REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=REVISION_TABLE,
    version_table_schema="public",
)
with context.begin_transaction():
    context.run_migrations()
