"""Counts slots exactly: what the rings ask for in a stretch of time against the rows of health.check_results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from farwatch_scheduler.ring import phase_ms
from farwatch_store import Connection

_EXAMPLES = 20

# One row a monitor and region: rows on its ring in the stretch, and how many different slots they are.
_COUNT = """
    with ring as (select * from unnest($1::bigint[], $2::bigint[]) as r (monitor_id, phase_ms)),
    seen as (
        select c.monitor_id, c.region, c.error_class,
            (extract(epoch from c.slot) * 1000)::bigint as slot_ms
        from health.check_results c
        where c.slot >= timestamptz 'epoch' + $3::bigint * interval '1 millisecond'
          and c.slot < timestamptz 'epoch' + $4::bigint * interval '1 millisecond' and c.kind is null
    )
    select s.monitor_id, s.region, count(*) as rows, count(distinct s.slot_ms) as slots,
        count(*) filter (where s.error_class = 'skipped') as skipped
    from seen s join ring r on r.monitor_id = s.monitor_id and s.slot_ms % $5::bigint = r.phase_ms
    group by s.monitor_id, s.region
"""

_LATENESS = """
    select count(late_ms) as checks, count(*) filter (where late_ms <= 250) as within_250_ms,
        percentile_disc(array[0.5, 0.9, 0.99, 0.999]) within group (order by late_ms) as quantiles,
        max(late_ms) as max, count(*) filter (where outcome = 'up') as up
    from health.check_results
    where slot >= timestamptz 'epoch' + $1::bigint * interval '1 millisecond'
      and slot < timestamptz 'epoch' + $2::bigint * interval '1 millisecond'
      and kind is null and error_class is distinct from 'skipped'
"""

_ROWS = """
    select count(*) from health.check_results
    where slot >= timestamptz 'epoch' + $1::bigint * interval '1 millisecond'
      and slot < timestamptz 'epoch' + $2::bigint * interval '1 millisecond' and kind is null
"""

_SLOTS_OF = """
    select (extract(epoch from slot) * 1000)::bigint as slot_ms from health.check_results
    where monitor_id = $1 and region = $2 and kind is null
      and slot >= timestamptz 'epoch' + $3::bigint * interval '1 millisecond'
      and slot < timestamptz 'epoch' + $4::bigint * interval '1 millisecond'
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `from_ms` up to but not including `to_ms`."""

    from_ms: int
    to_ms: int
    interval_ms: int

    @property
    def seconds(self) -> float:
        return (self.to_ms - self.from_ms) / 1000

    def slots_of(self, monitor_id: int) -> list[int]:
        phase = phase_ms(monitor_id, self.interval_ms)
        first = self.from_ms + (phase - self.from_ms) % self.interval_ms
        return list(range(first, self.to_ms, self.interval_ms))


@dataclass(slots=True)
class Count:
    """`missed` slots have neither a result nor `skipped`; `doubled` rows have the identity of another."""

    expected: int = 0
    rows: int = 0
    missed: int = 0
    doubled: int = 0
    skipped: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


async def count_slots(
    connection: Connection, monitor_ids: Sequence[int], regions: Sequence[str], stretch: Stretch
) -> Count:
    phases = [phase_ms(each, stretch.interval_ms) for each in monitor_ids]
    rows = await connection.fetch(
        _COUNT, list(monitor_ids), phases, stretch.from_ms, stretch.to_ms, stretch.interval_ms, timeout=300
    )
    seen = {(row["monitor_id"], row["region"]): row for row in rows}
    count = Count()
    for monitor_id in monitor_ids:
        expected = len(stretch.slots_of(monitor_id))
        for region in regions:
            row = seen.get((monitor_id, region))
            slots = row["slots"] if row else 0
            count.expected += expected
            count.missed += expected - slots
            if row:
                count.rows += row["rows"]
                count.doubled += row["rows"] - row["slots"]
                count.skipped += row["skipped"]
            if slots < expected and len(count.examples) < _EXAMPLES:
                count.examples += await _missing(connection, monitor_id, region, stretch)
    return count


async def _missing(connection: Connection, monitor_id: int, region: str, stretch: Stretch) -> list[dict[str, Any]]:
    found = await connection.fetch(_SLOTS_OF, monitor_id, region, stretch.from_ms, stretch.to_ms)
    there = {row["slot_ms"] for row in found}
    return [
        {
            "monitor_id": monitor_id,
            "region": region,
            "slot_ms": slot_ms,
            "after_seconds": (slot_ms - stretch.from_ms) / 1000,
        }
        for slot_ms in stretch.slots_of(monitor_id)
        if slot_ms not in there
    ]


async def count_rows(connection: Connection, stretch: Stretch) -> int:
    """Of scheduled checks, on a ring or not: cheap enough to ask again and again."""
    rows: int = await connection.fetchval(_ROWS, stretch.from_ms, stretch.to_ms, timeout=300)
    return rows


async def lateness(connection: Connection, stretch: Stretch) -> dict[str, Any]:
    """Start minus slot in milliseconds, of every check that was run."""
    row = await connection.fetchrow(_LATENESS, stretch.from_ms, stretch.to_ms, timeout=300)
    assert row is not None
    if not row["checks"]:
        return {"checks": 0}
    p50, p90, p99, p999 = row["quantiles"]
    share = round(100 * row["within_250_ms"] / row["checks"], 3)
    return {
        "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "p999_ms": p999, "max_ms": row["max"],
        "within_250_ms_percent": share, "checks_up_percent": round(100 * row["up"] / row["checks"], 3),
    }  # fmt: skip
