"""Leases on a key-value bucket: they pick who tries. The fence is the epoch in PostgreSQL, never the lease.

The bucket forgets each value after its age, so a holder that dies frees its lease by saying nothing.
"""

import asyncio
import base64
import contextlib
import json
import time

import structlog

from farwatch_bus.errors import BusError, StreamError
from farwatch_bus.link import Link
from farwatch_events.subjects import LEASES_BUCKET

LEASE_TTL_SECONDS = 2.0
"""Age at which the bucket forgets a value, the same for all its leases."""
RENEWALS_PER_TTL = 4
TRIES_PER_TTL = 8
PATIENCE_PER_TTL = 0.4
"""With less, a line on which an answer takes half a second, or a server that is that busy, lets nobody have a lease."""
MESSAGE_NOT_FOUND = 10037

log = structlog.get_logger("farwatch_bus")


class Lease:
    """Made by `Bus.lease`. After `acquire` said True it renews itself until `release` or until it is lost."""

    def __init__(self, link: Link, name: str, holder: str, ttl_seconds: float) -> None:
        if not 0 < ttl_seconds <= LEASE_TTL_SECONDS:
            raise ValueError(f"a lease of {ttl_seconds:g} s outlives the bucket's {LEASE_TTL_SECONDS:g} s")
        self._link = link
        self.name = name
        self._holder = holder.encode()
        self._ttl_seconds = ttl_seconds
        self._revision = 0
        self._held_until = 0.0
        self._lost = asyncio.Event()
        self._lost.set()
        self._taken = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def held(self) -> bool:
        """Surely mine at this moment: counted from before the last renewal was sent, so it ends before the bucket's."""
        return not self._lost.is_set() and time.monotonic() < self._held_until

    async def acquire(self) -> bool:
        """One try, over within two seconds. False when another holds it or NATS does not answer."""
        if self.held:
            return True
        self._lose()
        try:
            revision = await self._free_revision()
        except BusError as error:
            log.debug("lease_try_failed", lease=self.name, error=str(error))
            return False
        if revision is None or not await self._write(self._holder, revision):
            return False
        self._lost.clear()
        self._taken.set()
        self._keeper = asyncio.create_task(self._keep(), name=f"lease-{self.name}")
        log.info("lease_taken", lease=self.name)
        return True

    async def wait_lost(self) -> None:
        await self._lost.wait()

    async def wait_held(self) -> None:
        """For users of `run`: until it is ours."""
        await self._taken.wait()

    async def run(self) -> None:
        """Take it whenever it is free, keep it, and begin again when it is lost; until cancelled, then release."""
        try:
            while True:
                if await self.acquire():
                    await self.wait_lost()
                else:
                    await asyncio.sleep(self._ttl_seconds / TRIES_PER_TTL)
        finally:
            await self.release()

    async def release(self) -> None:
        """Leave it to the next at once instead of after its age."""
        held = self.held
        self._lose()
        if not held:
            return
        # A renewal that was on its way may have moved the revision.
        if not await self._write(b"", self._revision) and await self._is_mine():
            await self._write(b"", self._revision)
        log.info("lease_released", lease=self.name)

    async def close(self) -> None:
        await self.release()

    async def _keep(self) -> None:
        while self.held:
            await asyncio.sleep(self._ttl_seconds / RENEWALS_PER_TTL)
            if not await self._write(self._holder, self._revision) and not await self._is_mine():
                self._expire()

    def _extend(self, until: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._held_until = until
        self._expiry = asyncio.get_running_loop().call_later(until - time.monotonic(), self._expire)

    def _expire(self) -> None:
        if not self._lost.is_set():
            log.warning("lease_lost", lease=self.name)
        self._forget()

    def _lose(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        self._forget()

    def _forget(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._held_until = 0.0
        self._lost.set()
        self._taken.clear()

    async def _free_revision(self) -> int | None:
        """The revision to write on: 0 when nothing is there, the last when it was released or is ours; else None."""
        value, revision = await self._read()
        return revision if value in (b"", self._holder) else None

    async def _is_mine(self) -> bool:
        """After a write that got no answer: did it arrive? Unanswered questions leave it to the clock."""
        with contextlib.suppress(BusError):
            value, revision = await self._read()
            if value != self._holder:
                return False
            self._revision = revision
        return True

    async def _read(self) -> tuple[bytes, int]:
        try:
            answer = await self._link.api(
                f"STREAM.MSG.GET.KV_{LEASES_BUCKET}", {"last_by_subj": self._subject}, self._patience
            )
        except StreamError as error:
            if error.error_code == MESSAGE_NOT_FOUND:
                return b"", 0
            raise
        message = answer["message"]
        return base64.b64decode(message.get("data", "")), message["seq"]

    async def _write(self, value: bytes, revision: int) -> bool:
        """Compare and set. Notes the time from before sending, since the server counts from when it receives."""
        sent_at = time.monotonic()
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        try:
            reply = await self._link.request(self._subject, value, self._patience, headers)
        except BusError as error:
            log.debug("lease_write_failed", lease=self.name, error=str(error))
            return False
        answer = json.loads(reply.data)
        if "error" in answer:
            return False
        self._revision = answer["seq"]
        if value:
            self._extend(sent_at + self._ttl_seconds)
        return True

    @property
    def _subject(self) -> str:
        return f"$KV.{LEASES_BUCKET}.{self.name}"

    @property
    def _patience(self) -> float:
        return self._ttl_seconds * PATIENCE_PER_TTL
