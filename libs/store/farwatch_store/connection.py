"""What SQL runs on."""

from typing import Any

import asyncpg

Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
"""Either kind: borrowed from a pool, or alone."""
