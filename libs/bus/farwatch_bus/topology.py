"""The streams, consumers and the bucket of Farwatch (DESIGN.md 4)."""

from farwatch_bus.leases import LEASE_TTL_SECONDS
from farwatch_bus.streams import Api, ConsumerSpec, StreamSpec, delete_stream, ensure_consumer, ensure_stream
from farwatch_events import subjects

MEGABYTE = 1024 * 1024
CHECKS_BYTES = 32 * MEGABYTE
RESULTS_BYTES = 256 * MEGABYTE
EVENTS_BYTES = 256 * MEGABYTE
EVENTS_DAYS = 7
LEASES_BYTES = 1 * MEGABYTE
ACK_WAIT_SECONDS = 10.0
MAX_ACK_PENDING = 20_000


def region_streams(region: str) -> tuple[StreamSpec, StreamSpec]:
    """Due checks, oldest dropped first since they are the stalest; and results, refused rather than dropped."""
    checks = StreamSpec(
        name=subjects.checks_stream(region),
        subjects=(subjects.checks_filter(region),),
        retention="workqueue",
        discard="old",
        max_bytes=CHECKS_BYTES,
        allow_message_ttl=True,
    )
    results = StreamSpec(
        name=subjects.results_stream(region),
        subjects=(subjects.results_filter(region),),
        discard="new",
        max_bytes=RESULTS_BYTES,
    )
    return checks, results


def region_consumers(region: str) -> tuple[ConsumerSpec, ConsumerSpec]:
    stream = subjects.checks_stream(region)
    ring = ConsumerSpec(stream, subjects.RING_DURABLE, subjects.due_ring(region), ACK_WAIT_SECONDS, MAX_ACK_PENDING)
    now = ConsumerSpec(stream, subjects.NOW_DURABLE, subjects.due_now(region), ACK_WAIT_SECONDS, MAX_ACK_PENDING)
    return ring, now


def events_stream() -> StreamSpec:
    return StreamSpec(
        name=subjects.EVENTS_STREAM,
        subjects=(subjects.EVENTS_FILTER,),
        max_bytes=EVENTS_BYTES,
        max_age_seconds=EVENTS_DAYS * 86_400,
    )


def leases_stream() -> StreamSpec:
    """A key-value bucket with a life for each value; written to only by compare-and-set."""
    return StreamSpec(
        name=f"KV_{subjects.LEASES_BUCKET}",
        subjects=(f"$KV.{subjects.LEASES_BUCKET}.>",),
        discard="new",
        max_bytes=LEASES_BYTES,
        max_age_seconds=LEASE_TTL_SECONDS,
        max_messages_per_subject=1,
        duplicate_window_seconds=LEASE_TTL_SECONDS,
    )


async def ensure_region(bus: Api, region: str) -> None:
    """Both streams and both consumers of a region. The push region has results only: nobody probes for it."""
    checks, results = region_streams(region)
    await ensure_stream(bus, results)
    if region == subjects.PUSH_REGION:
        return
    await ensure_stream(bus, checks)
    for consumer in region_consumers(region):
        await ensure_consumer(bus, consumer)


async def delete_region(bus: Api, region: str) -> None:
    await delete_stream(bus, subjects.checks_stream(region))
    await delete_stream(bus, subjects.results_stream(region))


async def ensure_events(bus: Api) -> None:
    await ensure_stream(bus, events_stream())


async def ensure_leases(bus: Api) -> None:
    await ensure_stream(bus, leases_stream())
