"""Every subject, stream, durable and bucket name. No other module spells one out."""

import re
from typing import Final

REGION_PATTERN: Final = r"^[a-z0-9-]{1,32}$"
PUSH_REGION: Final = "push"
"""The region under which the api publishes what push monitors send. No prober serves it."""
DEFAULT_REGION: Final = "local"
SHARD: Final = "0"
JETSTREAM_DOMAIN: Final = "hub"

EVENTS_STREAM: Final = "EVENTS"
EVENTS_FILTER: Final = "events.>"
RING_DURABLE: Final = "ring"
NOW_DURABLE: Final = "now"

LEASES_BUCKET: Final = "leases"
SCHEDULER_LEASE: Final = "scheduler"
FOLD_LEASE: Final = "fold-0"
RELAY_LEASE: Final = "relay"

LIVE_FILTER: Final = "live.>"

REGISTER_REGION_COMMAND: Final = "cmd.incidents.register_region"
ACKNOWLEDGE_COMMAND: Final = "cmd.incidents.acknowledge"
RESOLVE_COMMAND: Final = "cmd.incidents.resolve"
NOTE_COMMAND: Final = "cmd.incidents.note"
CHECK_NOW_COMMAND: Final = "cmd.scheduler.check_now"
TEST_CHANNEL_COMMAND: Final = "cmd.notifier.test_channel"

_REGION = re.compile(REGION_PATTERN)


def require_region(region: str) -> str:
    """Returns the name unchanged; raises ValueError for one that could not stand in a subject."""
    if not _REGION.match(region):
        raise ValueError(f"region {region!r} must be 1 to 32 of a-z, 0-9 and '-'")
    return region


def checks_stream(region: str) -> str:
    return f"CHECKS_{require_region(region)}"


def results_stream(region: str) -> str:
    return f"RESULTS_{require_region(region)}"


def checks_filter(region: str) -> str:
    return f"checks.due.{require_region(region)}.>"


def due_ring(region: str) -> str:
    """Due checks of the ring: the ordinary schedule."""
    return f"checks.due.{require_region(region)}.{RING_DURABLE}"


def due_now(region: str) -> str:
    """Due checks that must not wait behind a backlog: new, edited, "check now", confirmation."""
    return f"checks.due.{require_region(region)}.{NOW_DURABLE}"


def results_filter(region: str) -> str:
    return f"checks.result.{require_region(region)}.>"


def result(region: str) -> str:
    """Result batches and heartbeats of one region."""
    return f"checks.result.{require_region(region)}.{SHARD}"


def event(event_type: str) -> str:
    """Subject of a stored event type: "incident.opened" travels on "events.incident.opened"."""
    return f"events.{event_type}"


def live_monitors() -> str:
    """Results stored and verdicts changed, those of one commit together."""
    return "live.monitors"


def live_regions() -> str:
    return "live.regions"


def live_check(request_id: str) -> str:
    """Tries and results of one "check now" as they come in."""
    return f"live.check.{request_id}"
