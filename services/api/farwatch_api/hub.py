"""Live updates: one subscription a process, one coalesced patch a second a browser."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from sys import intern
from typing import Any, NamedTuple

import structlog
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from farwatch_api.envelope import dump, timestamp_ms
from farwatch_api.errors import Unavailable
from farwatch_api.queries.census import counts_by_state
from farwatch_api.queries.states import overlaid_states
from farwatch_bus import Bus, Message, Subscription
from farwatch_events import subjects
from farwatch_events.live import LiveMonitor, LiveMonitors
from farwatch_store import Database, StoreError

log = structlog.get_logger("farwatch_api")

IDS_MAX = 100
CLIENTS_MAX = 500
RESULTS_KEPT = 12
REMEMBERED = 40_000
"""Results kept for browsers that come back, some 200 bytes each: 20 seconds of 2,000 a second."""
PATCH_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0
SEND_SECONDS = 10.0
LONGEST_STREAM_SECONDS = 600.0
"""Then the browser connects again, and whoever was signed out meanwhile is not let in."""
REFRESH_SECONDS = 15.0
REST_FACTOR = 9
"""Times as long as it took to count is waited before the next time, REFRESH_SECONDS at most."""
ASLEEP_AFTER_SECONDS = 120.0
"""Without a browser for so long, messages are not even read."""


class Heard(NamedTuple):
    """A LiveMonitor in a fifth of its memory."""

    monitor_id: int
    slot_ms: int
    region: str
    verdict: str
    verdict_changed: bool
    outcome: str
    latency_ms: float | None
    incident_id: int | None

    @classmethod
    def of(cls, live: LiveMonitor) -> "Heard":
        return cls(
            live.monitor_id,
            live.slot_ms,
            intern(live.region),
            intern(live.verdict),
            live.verdict_changed,
            intern(live.outcome),
            live.latency_ms,
            live.incident_id,
        )

    def result(self) -> dict[str, Any]:
        return {
            "region": self.region,
            "slot": timestamp_ms(self.slot_ms),
            "outcome": self.outcome,
            "latency_ms": self.latency_ms,
        }


@dataclass
class Patch:
    """What is new about one monitor since its browser was last told."""

    last: Heard
    verdict_changed: bool
    results: deque[Heard]

    @classmethod
    def of(cls, heard: Heard) -> "Patch":
        return cls(heard, heard.verdict_changed, deque([heard] if heard.region else [], RESULTS_KEPT))

    def add(self, heard: Heard) -> None:
        self.last = heard
        self.verdict_changed = self.verdict_changed or heard.verdict_changed
        if heard.region:
            self.results.append(heard)


class Client:
    """One browser. What waits for it is bounded: a patch a monitor it asked for, the newest counts."""

    def __init__(self, ids: frozenset[int]) -> None:
        self.ids = ids
        self.patches: dict[int, Patch] = {}
        self.counts: dict[str, int] | None = None
        self.closed = False
        self._news = asyncio.Event()

    def offer(self, heard: Heard) -> None:
        patch = self.patches.get(heard.monitor_id)
        if patch is None:
            self.patches[heard.monitor_id] = Patch.of(heard)
        else:
            patch.add(heard)
        self._news.set()

    def offer_counts(self, counts: dict[str, int]) -> None:
        self.counts = counts
        self._news.set()

    def close(self) -> None:
        self.closed = True
        self._news.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """True when there is something to tell."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> tuple[list[Patch], dict[str, int] | None]:
        patches, counts = list(self.patches.values()), self.counts
        self.patches, self.counts = {}, None
        self._news.clear()
        return patches, counts


class Hub:
    """Hears everything on `live.>` and hands each browser what it asked for."""

    def __init__(self, db: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self.clients: set[Client] = set()
        self._watchers: dict[int, set[Client]] = {}
        self._clock = clock
        self._last_watched = clock()
        self.counts: dict[str, int] = {}
        self._changes = 0
        self._bus: Bus | None = None
        self.dropped = 0
        self._db = db
        self._boot = secrets.token_hex(4)
        self._sequence = 0
        self._remembered: deque[Heard] = deque(maxlen=REMEMBERED)
        self._overlaid: dict[int, str] = {}
        self._dirty = asyncio.Event()
        self._subscriptions: list[Subscription] = []

    async def start(self, bus: Bus) -> None:
        self._subscriptions = [
            await bus.subscribe(subjects.live_monitors(), self._on_live),
            await bus.subscribe(subjects.EVENTS_FILTER, self._on_event),
        ]
        self._bus = bus

    async def close(self) -> None:
        for client in list(self.clients):
            client.close()
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def run(self, stop: asyncio.Event) -> None:
        """Counts after every change, at most once a second and a tenth of the time, and now and then for windows that
        begin and end."""
        while not stop.is_set():
            pause = await self._refresh() if self.clients else PATCH_SECONDS
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._dirty.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(pause)
            self._dirty.clear()

    async def _refresh(self) -> float:
        """Seconds until it should be done again at the earliest."""
        try:
            async with self._db.connection(1.0) as connection:
                began = self._clock()
                counts = await counts_by_state(connection)
                self._overlaid = await overlaid_states(connection)
        except StoreError:
            return PATCH_SECONDS
        if counts != self.counts:
            self.counts = counts
            for client in self.clients:
                client.offer_counts(counts)
        return min(REFRESH_SECONDS, max(PATCH_SECONDS, REST_FACTOR * (self._clock() - began)))

    def join(self, ids: Iterable[int], last_event_id: str | None) -> Client:
        """Raises Unavailable when too many watch. A known `last_event_id` brings back what came since."""
        if len(self.clients) >= CLIENTS_MAX:
            raise Unavailable("Too many browsers are watching. Try again soon.")
        client = Client(frozenset(ids))
        self.clients.add(client)
        for monitor_id in client.ids:
            self._watchers.setdefault(monitor_id, set()).add(client)
        self._dirty.set()
        if self.counts:
            client.offer_counts(self.counts)
        since = self._known_sequence(last_event_id)
        if since is not None:
            for heard in self._heard_since(since):
                if heard.monitor_id in client.ids:
                    client.offer(heard)
        return client

    def _heard_since(self, sequence: int) -> Iterable[Heard]:
        """Oldest first. All that was heard is remembered unless it is too old, so the newest are the last."""
        missed = max(0, min(self._sequence - sequence, len(self._remembered)))
        return islice(self._remembered, len(self._remembered) - missed, None)

    def leave(self, client: Client) -> None:
        self._last_watched = self._clock()
        self.clients.discard(client)
        for monitor_id in client.ids:
            watchers = self._watchers.get(monitor_id, set())
            watchers.discard(client)
            if not watchers:
                self._watchers.pop(monitor_id, None)

    def resumable(self, last_event_id: str | None) -> bool:
        return last_event_id is None or self._known_sequence(last_event_id) is not None

    def position(self) -> str:
        """An event id: a page made now and joining with it soon misses nothing in between. Wakes the hub."""
        if self._asleep():
            self._boot = secrets.token_hex(4)
        self._last_watched = self._clock()
        return self._event_id()

    def changes(self) -> int | None:
        """Grows with whatever may have changed a monitor's state, name or being there; None while nobody listens."""
        listening = self._bus is not None and self._bus.connected and not self._asleep()
        return self._changes if listening else None

    def _changed(self) -> None:
        self._changes += 1
        self._dirty.set()

    def _known_sequence(self, event_id: str | None) -> int | None:
        boot, _, number = (event_id or "").partition("-")
        if boot != self._boot or not number.isdigit() or len(number) > 18:
            return None
        too_old = int(number) < self._sequence - len(self._remembered)
        return None if too_old else int(number)

    def render(self, patches: list[Patch], counts: dict[str, int] | None) -> bytes:
        """One SSE event of type `patch`, whose id says that its browser knows all that was heard by now."""
        data: dict[str, Any] = {"monitors": [self._describe(patch) for patch in patches]}
        if counts is not None:
            data["counts"] = counts
        return b"event: patch\nid: %s\ndata: %s\n\n" % (self._event_id().encode(), dump(data))

    def render_nothing(self) -> bytes:
        """Keeps the line open, and the browser's place in what is remembered up to date."""
        return b"id: %s\n\n" % self._event_id().encode()

    def _event_id(self) -> str:
        return f"{self._boot}-{self._sequence}"

    def _describe(self, patch: Patch) -> dict[str, Any]:
        live = patch.last
        return {
            "monitor_id": live.monitor_id,
            "state": self._overlaid.get(live.monitor_id, live.verdict),
            "verdict": live.verdict,
            "verdict_changed": patch.verdict_changed,
            "latency_ms": live.latency_ms,
            "slot": timestamp_ms(live.slot_ms),
            "region": live.region,
            "outcome": live.outcome,
            "incident_id": live.incident_id,
            "results": [heard.result() for heard in patch.results],
        }

    def _asleep(self) -> bool:
        """Whoever comes back after that is told to load the page again, since what came meanwhile is not known."""
        if self.clients or self._clock() - self._last_watched < ASLEEP_AFTER_SECONDS:
            return False
        if self._remembered:
            self._remembered.clear()
            self._boot = secrets.token_hex(4)
        return True

    async def _on_live(self, message: Message) -> None:
        if self._asleep():
            return
        try:
            told = LiveMonitors.from_bytes(message.data)
        except ValidationError:
            self.dropped += 1
            return
        for live in told.monitors:
            self._hear(live)

    def _hear(self, live: LiveMonitor) -> None:
        self._sequence += 1
        heard = Heard.of(live)
        self._remembered.append(heard)
        for client in self._watchers.get(live.monitor_id, ()):
            client.offer(heard)
        if live.verdict_changed:
            self._changed()

    async def _on_event(self, message: Message) -> None:
        if message.subject.startswith(("events.monitor.", "events.maintenance.")):
            self._changed()


class EventStream(Response):
    """Server-sent events to one browser until it leaves, falls behind, or has stayed long enough."""

    def __init__(self, hub: Hub, client: Client, *, resync: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(media_type="text/event-stream; charset=utf-8")
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"
        del self.headers["content-length"]
        self._hub = hub
        self._client = client
        self._resync = resync
        self._clock = clock

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async def write(data: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": more})

        leaving = asyncio.create_task(self._wait_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._pump(write, leaving)
            await write(b"", more=False)
        except (TimeoutError, OSError):
            log.debug("live_browser_cut")
        finally:
            leaving.cancel()
            self._hub.leave(self._client)

    async def _pump(self, write: Callable[[bytes], Awaitable[None]], leaving: "asyncio.Task[None]") -> None:
        ends_at = self._clock() + LONGEST_STREAM_SECONDS
        await write(b"retry: 2000\n" + (b"event: resync\ndata: {}\n\n" if self._resync else b": hello\n\n"))
        while not leaving.done() and not self._client.closed and self._clock() < ends_at:
            if not await self._client.wait(KEEP_ALIVE_SECONDS):
                await write(self._hub.render_nothing())
                continue
            patches, counts = self._client.take()
            if patches or counts is not None:
                await write(self._hub.render(patches, counts))
            await asyncio.wait([leaving], timeout=PATCH_SECONDS)

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.close()
