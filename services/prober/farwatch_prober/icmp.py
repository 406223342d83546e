"""Pings of all checks through one socket an address family, told apart by identifier and sequence.

With a raw socket a check each, every one of them would get every reply.
"""

import asyncio
import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field

from farwatch_events.results import ErrorClass
from farwatch_prober import icmpwire
from farwatch_prober.outcome import ProbeFailure

PACKET_SPACING_SECONDS = 0.2
LEAST_PATIENCE_SECONDS = 1.0
RECEIVE_BUFFER_BYTES = 1024 * 1024
PACKETS_A_TURN = 256
PAYLOAD_BYTES = 32
_SOL_RAW, _ICMP_FILTER = 255, 1

MEND = "sysctl -w net.ipv4.ping_group_range='0 2147483647' on the prober's machine, or give it CAP_NET_RAW"


@dataclass(slots=True)
class PingResult:
    """`errors` are routers' reports that a packet could not be delivered."""

    sent: int = 0
    errors: int = 0
    round_trips: list[float] = field(default_factory=list)

    @property
    def received(self) -> int:
        return len(self.round_trips)


@dataclass(slots=True)
class _Run:
    result: PingResult
    address: str
    sent_at: float = 0.0
    changed: "asyncio.Future[None] | None" = None
    """Somebody waits for it while it is set."""

    def note(self) -> None:
        if self.changed is not None and not self.changed.done():
            self.changed.set_result(None)

    def is_complete(self) -> bool:
        return self.result.received + self.result.errors >= self.result.sent

    def patience(self, now: float, deadline: float) -> float:
        """How much longer to wait: to the deadline for a first reply, a good deal less once some are in."""
        left = deadline - now
        if not self.result.round_trips:
            return left
        return min(left, self.sent_at + max(LEAST_PATIENCE_SECONDS, 4 * max(self.result.round_trips)) - now)


class _Socket:
    def __init__(self, version: int, source_address: str | None) -> None:
        self.version = version
        self._source_address = source_address
        self.identifier = int.from_bytes(os.urandom(2), "big")
        self.is_raw = False
        self.socket = self._open()
        self.waiting: dict[int, tuple[_Run, float]] = {}
        self._payload = os.urandom(PAYLOAD_BYTES)
        self._sequence = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket.fileno(), self._on_readable)

    def _open(self) -> socket.socket:
        """An unprivileged socket, a raw one where we get none. Raises OSError without rights to either."""
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if self.version == 4 else socket.IPPROTO_ICMPV6
        try:
            opened = socket.socket(family, socket.SOCK_DGRAM, protocol)
        except OSError:
            opened = socket.socket(family, socket.SOCK_RAW, protocol)
            self.is_raw = True
            if self.version == 4:  # let through replies and routers' reports only
                opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("I", ~(1 << 0 | 1 << 3 | 1 << 11) & 0xFFFFFFFF))
        opened.setblocking(False)
        if self._source_address is not None and (":" in self._source_address) == (self.version == 6):
            opened.bind((self._source_address, 0))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return opened

    def send(self, run: _Run) -> int:
        """The sequence number it went out with. Raises OSError."""
        self._sequence = sequence = (self._sequence + 1) & 0xFFFF
        packet = icmpwire.encode_request(self.version, self.identifier, sequence, self._payload)
        run.result.sent += 1
        self.waiting[sequence] = (run, time.perf_counter())
        with suppress(BlockingIOError):  # a full send buffer loses the packet, as the network might
            self.socket.sendto(packet, (run.address, 0))
        return sequence

    def _on_readable(self) -> None:
        for _ in range(PACKETS_A_TURN):
            try:
                data, source = self.socket.recvfrom(2048)
            except OSError:
                return
            received_at = time.perf_counter()
            echo = icmpwire.decode(self.version, data, has_ip_header=self.is_raw and self.version == 4)
            if echo is not None:
                self._take(echo, source[0], received_at)

    def _take(self, echo: icmpwire.Echo, source: str, received_at: float) -> None:
        """The kernel sets the identifier of an unprivileged socket, and hands on its replies only."""
        entry = self.waiting.get(echo.sequence)
        if entry is None or (self.is_raw and echo.identifier != self.identifier):
            return
        run, sent_at = entry
        if not echo.is_error and (echo.payload != self._payload or source.partition("%")[0] != run.address):
            return
        del self.waiting[echo.sequence]
        if echo.is_error:
            run.result.errors += 1
        else:
            run.result.round_trips.append(received_at - sent_at)
        run.note()

    def close(self) -> None:
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()


class Pinger:
    """Opens its sockets when the first ping needs them."""

    def __init__(self, source_address: str | None = None) -> None:
        self._source_address = source_address
        self._sockets: dict[int, _Socket] = {}

    async def ping(self, address: str, packets: int, timeout_seconds: float) -> PingResult:
        """Raises ProbeFailure (internal) without the right to ping, OSError when there is no route."""
        sock = self._socket(6 if ":" in address else 4)
        run = _Run(PingResult(), address)
        deadline = time.perf_counter() + timeout_seconds
        spacing = min(PACKET_SPACING_SECONDS, timeout_seconds / (2 * packets))
        sequences = []
        try:
            for number in range(packets):
                if number:
                    await asyncio.sleep(spacing)
                sequences.append(sock.send(run))
            run.sent_at = time.perf_counter()
            await _wait_for_replies(run, deadline)
        finally:
            for sequence in sequences:
                sock.waiting.pop(sequence, None)
        return run.result

    def _socket(self, version: int) -> _Socket:
        if version not in self._sockets:
            try:
                self._sockets[version] = _Socket(version, self._source_address)
            except PermissionError:
                raise ProbeFailure(ErrorClass.INTERNAL, f"The prober may not send pings: run {MEND}") from None
            except OSError as error:
                why = error.strerror or str(error)
                raise ProbeFailure(ErrorClass.INTERNAL, f"The prober cannot open a socket for pings: {why}") from None
        return self._sockets[version]

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()


async def _wait_for_replies(run: _Run, deadline: float) -> None:
    loop = asyncio.get_running_loop()
    while not run.is_complete() and (patience := run.patience(time.perf_counter(), deadline)) > 0:
        run.changed = loop.create_future()
        timer = loop.call_later(patience, run.note)
        try:
            await run.changed
        finally:
            timer.cancel()
