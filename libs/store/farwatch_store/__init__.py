"""PostgreSQL: pool, event log with expected version, outbox relay, consumer positions, migrations.

`farwatch_store.migrate` is not imported here: services do without Alembic.
"""

from farwatch_store.connection import Connection
from farwatch_store.database import Database, transaction_on, wait_for_revision
from farwatch_store.errors import RevisionMissing, StoreError, StoreUnavailable, VersionConflict
from farwatch_store.follow import Follower
from farwatch_store.log import Append, append, append_many, last_position, read_log, read_stream
from farwatch_store.positions import read_position, save_position
from farwatch_store.relay import Relay
from farwatch_store.revision import CURRENT_REVISION

__all__ = [
    "CURRENT_REVISION",
    "Append",
    "Connection",
    "Database",
    "Follower",
    "Relay",
    "RevisionMissing",
    "StoreError",
    "StoreUnavailable",
    "VersionConflict",
    "append",
    "append_many",
    "last_position",
    "read_log",
    "read_position",
    "read_stream",
    "save_position",
    "transaction_on",
    "wait_for_revision",
]
