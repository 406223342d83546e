"""The command behind "send me a test": a real message to a channel, enabled or not."""

import asyncio
from collections.abc import Callable

from farwatch_events.checks import TestChannelReply, TestChannelRequest
from farwatch_events.ids import uuid7
from farwatch_notifier import deliveries
from farwatch_notifier.message import sample_alert
from farwatch_notifier.outcome import DeliveryError
from farwatch_notifier.sending import Sender
from farwatch_store import Database, StoreUnavailable

TRIAL_TIMEOUT_SECONDS = 20.0


class Trial:
    def __init__(self, db: Database, sender: Sender, public_url: str, now: Callable[[], int]) -> None:
        self._db = db
        self._sender = sender
        self._public_url = public_url
        self._now = now

    async def answer(self, data: bytes) -> bytes:
        """Request and reply as they travel on the bus."""
        reply = await self.send_test(TestChannelRequest.from_bytes(data).channel_id)
        return reply.to_bytes()

    async def send_test(self, channel_id: int) -> TestChannelReply:
        try:
            channel = await deliveries.read_channel(self._db, channel_id)
        except StoreUnavailable:
            return TestChannelReply(ok=False, error="the database does not answer")
        if channel is None or channel.deleted:
            return TestChannelReply(ok=False, error=f"there is no channel {channel_id}")
        alert = sample_alert(channel.name, self._now(), self._public_url)
        rendered = f"{alert.symbol} {alert.title}\n{alert.sentence}"
        try:
            async with asyncio.timeout(TRIAL_TIMEOUT_SECONDS):
                sent = await self._sender.send(channel, alert, f"msg_test_{uuid7(self._now()).hex}")
        except DeliveryError as failure:
            return TestChannelReply(
                ok=False,
                rendered=failure.rendered or rendered,
                request=failure.request,
                answer=failure.answer,
                error=failure.error,
            )
        except TimeoutError:
            return TestChannelReply(ok=False, rendered=rendered, error=f"no answer within {TRIAL_TIMEOUT_SECONDS:g} s")
        return TestChannelReply(ok=True, rendered=sent.rendered, request=sent.request, answer=sent.answer)
