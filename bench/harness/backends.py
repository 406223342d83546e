"""Processor time that PostgreSQL spends for one service: that of its connections, which are processes of their own."""

from bench.harness.usage import read_stats
from farwatch_store import Database

_PIDS = "select pid from pg_stat_activity where application_name = $1"


class Backends:
    """`name` is what the service calls its connections. One that ended keeps the time it was last seen with."""

    def __init__(self, db: Database, name: str) -> None:
        self._db, self._name = db, name
        self._seen: dict[int, float] = {}

    async def cpu_seconds(self) -> float:
        rows = await self._db.pool.fetch(_PIDS, self._name)
        stats = read_stats()
        self._seen |= {row["pid"]: stats[row["pid"]].cpu_seconds for row in rows if row["pid"] in stats}
        return sum(self._seen.values())
