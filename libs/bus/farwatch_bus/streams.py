"""Streams and durable consumers: made, brought up to date, looked at, purged."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import structlog

from farwatch_bus.errors import StreamError

NANOSECONDS = 1_000_000_000
STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
NAME_IN_USE = 10058
ATTEMPTS = 3

log = structlog.get_logger("farwatch_bus")


class Api(Protocol):
    async def api(self, verb: str, payload: object = None, timeout_seconds: float = ...) -> dict[str, Any]: ...


@dataclass(frozen=True)
class StreamSpec:
    """A stream as it should be. `workqueue` keeps a message until it is acknowledged."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    max_bytes: int = -1
    max_age_seconds: float = 0
    max_messages_per_subject: int = -1
    duplicate_window_seconds: float = 120
    allow_message_ttl: bool = False
    allow_direct: bool = False
    storage: Literal["file", "memory"] = "file"

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": self.retention,
            "discard": self.discard,
            "max_bytes": self.max_bytes,
            "max_age": int(self.max_age_seconds * NANOSECONDS),
            "max_msgs_per_subject": self.max_messages_per_subject,
            "duplicate_window": int(self.duplicate_window_seconds * NANOSECONDS),
            "allow_msg_ttl": self.allow_message_ttl,
            "allow_direct": self.allow_direct,
            "storage": self.storage,
        }


@dataclass(frozen=True)
class ConsumerSpec:
    """A durable pull consumer with explicit acknowledgement. Deliveries are not limited: the taker counts them."""

    stream: str
    name: str
    filter_subject: str
    ack_wait_seconds: float = 10
    max_ack_pending: int = 20_000

    def config(self) -> dict[str, Any]:
        return {
            "durable_name": self.name,
            "name": self.name,
            "filter_subject": self.filter_subject,
            "ack_policy": "explicit",
            "ack_wait": int(self.ack_wait_seconds * NANOSECONDS),
            "max_ack_pending": self.max_ack_pending,
            "max_deliver": -1,
            "deliver_policy": "all",
            "replay_policy": "instant",
        }


@dataclass(frozen=True)
class StreamInfo:
    """An empty stream has `first_sequence` = `last_sequence` + 1."""

    created: datetime
    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int


async def ensure_stream(bus: Api, spec: StreamSpec, first_sequence: int | None = None) -> None:
    """Make the stream or bring it up to date; `first_sequence` counts only when it is made.

    Raises StreamError when the server cannot make the change, for one between `limits` and `workqueue`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _ensure_stream_once(bus, spec, first_sequence)
        except StreamError as error:
            # Somebody else made or deleted it between our looking and our doing.
            if attempt == ATTEMPTS or error.error_code not in (NAME_IN_USE, STREAM_NOT_FOUND):
                raise
    return None


async def _ensure_stream_once(bus: Api, spec: StreamSpec, first_sequence: int | None) -> None:
    wanted = spec.config()
    present = await _read(bus, f"STREAM.INFO.{spec.name}", STREAM_NOT_FOUND)
    if present is None:
        extra = {"first_seq": first_sequence} if first_sequence is not None else {}
        await bus.api(f"STREAM.CREATE.{spec.name}", wanted | extra)
        log.info("stream_made", stream=spec.name, first_sequence=first_sequence)
    elif changes := differences(present["config"], wanted):
        await bus.api(f"STREAM.UPDATE.{spec.name}", present["config"] | wanted)
        log.info("stream_updated", stream=spec.name, changed=sorted(changes))


async def ensure_consumer(bus: Api, spec: ConsumerSpec) -> None:
    """Make the durable consumer or bring it up to date; the server does both in one verb."""
    wanted = spec.config()
    present = await _read(bus, f"CONSUMER.INFO.{spec.stream}.{spec.name}", CONSUMER_NOT_FOUND)
    if present is not None and not differences(present["config"], wanted):
        return
    config = (present["config"] if present else {}) | wanted
    body = {"stream_name": spec.stream, "config": config}
    await bus.api(f"CONSUMER.CREATE.{spec.stream}.{spec.name}.{spec.filter_subject}", body)
    log.info("consumer_set", stream=spec.stream, consumer=spec.name)


async def stream_info(bus: Api, name: str) -> StreamInfo | None:
    """None when there is no such stream."""
    answer = await _read(bus, f"STREAM.INFO.{name}", STREAM_NOT_FOUND)
    if answer is None:
        return None
    state = answer["state"]
    return StreamInfo(
        parse_time(answer["created"]),
        max(1, state["first_seq"]),
        state["last_seq"],
        state["messages"],
        state["bytes"],
    )


async def consumer_pending(bus: Api, stream: str, name: str) -> int | None:
    """Messages that wait to be taken by this durable consumer, those in somebody's hands not counted; None when there
    is no such consumer or stream."""
    try:
        answer = await _read(bus, f"CONSUMER.INFO.{stream}.{name}", CONSUMER_NOT_FOUND)
    except StreamError as error:
        if error.error_code == STREAM_NOT_FOUND:
            return None
        raise
    return None if answer is None else int(answer["num_pending"])


async def purge_up_to(bus: Api, name: str, sequence: int) -> int:
    """Remove every message up to and including `sequence`; returns how many.

    Does nothing when the stream ends before it: purging past the end would move its numbering forward and hide that
    it has lost its tail.
    """
    info = await stream_info(bus, name)
    if info is None or sequence < info.first_sequence or info.last_sequence < sequence:
        return 0
    answer = await bus.api(f"STREAM.PURGE.{name}", {"seq": sequence + 1})
    return int(answer.get("purged", 0))


async def delete_stream(bus: Api, name: str) -> bool:
    """False when there was none."""
    return await _read(bus, f"STREAM.DELETE.{name}", STREAM_NOT_FOUND) is not None


async def _read(bus: Api, verb: str, absent: int) -> dict[str, Any] | None:
    try:
        return await bus.api(verb)
    except StreamError as error:
        if error.error_code == absent:
            return None
        raise


def differences(present: dict[str, Any], wanted: dict[str, Any]) -> set[str]:
    """Names of the settings that differ. The server leaves out what is zero."""
    return {key for key, value in wanted.items() if (present.get(key) or type(value)()) != value}


def parse_time(text: str) -> datetime:
    """RFC 3339 with nanoseconds, of which microseconds are kept."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0") or 0))
