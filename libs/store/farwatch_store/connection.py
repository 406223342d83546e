"""What SQL runs on."""

from typing import TypeAlias

import asyncpg

# As text, because asyncpg's classes take their parameter in the stubs only.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""Either kind: borrowed from a pool, or alone."""
