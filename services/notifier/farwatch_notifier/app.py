"""The notifier, put together from a database and a way out. Tests build what they need of it."""

import asyncio
import random
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from farwatch_bus import Bus, Message, Subscription
from farwatch_events import subjects
from farwatch_notifier.dispatch import Dispatcher, Links
from farwatch_notifier.intake import Intake
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.sending import Sender
from farwatch_notifier.timers import Timers
from farwatch_notifier.trial import Trial
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Database, Follower

CONSUMER = "notifier"


class Notifier:
    """Follows the log, sends what is due, answers test commands. Works on without NATS: the database wakes it too."""

    def __init__(
        self,
        db: Database,
        box: SecretBox,
        outbound: Outbound,
        registry: CollectorRegistry,
        public_url: str = "",
        now: Callable[[], int] = now_ms,
        draw: Callable[[], float] = random.random,
    ) -> None:
        metrics = Metrics(registry)
        sender = Sender(box, outbound)
        self._nudge = asyncio.Event()
        self.follower = Follower(db, CONSUMER, Intake(public_url, metrics, now).apply, self._nudge)
        self.dispatcher = Dispatcher(db, sender, metrics, now, draw, self._nudge.set, Links(box, public_url))
        self.timers = Timers(db, CONSUMER, public_url, metrics, now)
        self.trial = Trial(db, sender, public_url, now)

    async def attach(self, bus: Bus) -> list[Subscription]:
        """Wakes up with every event and answers commands."""

        async def on_event(_message: Message) -> None:
            self._nudge.set()

        return [
            await bus.subscribe(subjects.EVENTS_FILTER, on_event),
            await bus.respond(subjects.TEST_CHANNEL_COMMAND, self.trial.answer),
        ]

    async def run(self, stop: asyncio.Event, progress: Callable[[], None] = lambda: None) -> None:
        """Until `stop`; messages on their way are finished."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.follower.run(stop), name="follow")
            group.create_task(self.timers.run(stop), name="timers")
            group.create_task(self.dispatcher.run(stop, progress), name="dispatch")
