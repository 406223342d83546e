"""Asking one name server: UDP, again by TCP when the answer does not fit, with a bound on what is outstanding."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from farwatch_prober import dnswire
from farwatch_prober.outcome import endpoint

MAX_OUTSTANDING = 2000
RESEND_AFTER_SECONDS = (1.0, 1.0, 2.0)
"""Each counted from the sending before it."""
LOOK_SECONDS = 0.05
"""How often questions are looked for that wait too long, which costs less than timers for each."""
QUERIES_PER_SOCKET = 256
"""Then a socket with another source port takes over, so that forged answers stay hard to place."""


class ServerFault(Exception):
    """This server gave no usable answer; `busy` when it was never asked because of our own bound."""

    def __init__(self, what: str, *, busy: bool = False, timed_out: bool = False) -> None:
        super().__init__(what)
        self.busy = busy
        self.timed_out = timed_out


@dataclass(slots=True)
class _Question:
    """`deadline` and `resend_at` are the loop's time."""

    name: str
    record_type: int
    reply: "asyncio.Future[dnswire.Reply]"
    deadline: float
    sent: int = 0
    resend_at: float = inf


@dataclass(eq=False)
class _Socket(asyncio.DatagramProtocol):
    """One connected UDP socket, so the kernel drops packets from anybody else."""

    questions: dict[int, _Question] = field(default_factory=dict)
    transport: asyncio.DatagramTransport | None = None
    used: int = 0
    retired: bool = False
    is_looking: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport) or hasattr(transport, "sendto")
        self.transport = transport  # type: ignore[assignment]  # uvloop's transport is not a subclass

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        with suppress(dnswire.BadMessage):
            question = self.questions.get(dnswire.message_id(data))
            if question is None or question.reply.done():
                return
            question.reply.set_result(dnswire.decode_reply(data, question.name, question.record_type))

    def error_received(self, exc: Exception) -> None:
        self._fail_all(f"cannot be reached ({_reason(exc)})")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail_all("closed" if exc is None else _reason(exc))

    def _fail_all(self, what: str) -> None:
        for question in self.questions.values():
            if not question.reply.done():
                question.reply.set_exception(ServerFault(what))

    def send(self, message_id: int, question: _Question) -> None:
        """Now, and again and again until it is released or its time is up."""
        if self.transport is None or self.transport.is_closing():
            return
        loop = question.reply.get_loop()
        self.transport.sendto(dnswire.encode_query(message_id, question.name, question.record_type))
        more = question.sent < len(RESEND_AFTER_SECONDS)
        question.resend_at = loop.time() + RESEND_AFTER_SECONDS[question.sent] if more else inf
        question.sent += 1
        if not self.is_looking:
            self.is_looking = True
            loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for message_id, question in list(self.questions.items()):
            if question.deadline <= now and not question.reply.done():
                question.reply.set_exception(TimeoutError())
            elif question.resend_at <= now and not question.reply.done():
                self.send(message_id, question)
        self.is_looking = bool(self.questions)
        if self.is_looking:
            loop.call_later(LOOK_SECONDS, self._look, loop)

    def release(self, message_id: int) -> None:
        self.questions.pop(message_id, None)
        if self.retired and not self.questions:
            self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class NameServer:
    """`suspect` when it stayed silent last time: others are asked first until it answers again."""

    def __init__(self, address: str, port: int, source_address: str | None = None) -> None:
        self.address = address
        self.port = port
        self._local = local_end(address, source_address)
        self.suspect = False
        self.answered_ever = False
        self.outstanding = 0
        self._socket: _Socket | None = None
        self._opening: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return endpoint(self.address, self.port)

    async def ask(self, name: str, record_type: int, timeout_seconds: float, *, by_tcp: bool = False) -> dnswire.Reply:
        """Its answer, whatever the rcode. Raises ServerFault when none came in time."""
        if self.outstanding >= MAX_OUTSTANDING:
            raise ServerFault("has too many unanswered questions of ours", busy=True)
        self.outstanding += 1
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        try:
            reply = None if by_tcp else await self._ask_udp(name, record_type, deadline)
            if reply is None or reply.truncated:
                async with asyncio.timeout_at(deadline):
                    reply = await self._ask_tcp(name, record_type)
        except TimeoutError:
            self.suspect = True
            raise ServerFault("did not answer", timed_out=True) from None
        except ServerFault:
            self.suspect = True
            raise
        except (OSError, EOFError, dnswire.BadMessage) as error:
            self.suspect = True
            raise ServerFault(f"cannot be reached ({_reason(error)})") from None
        finally:
            self.outstanding -= 1
        self.suspect = False
        self.answered_ever = True
        return reply

    async def _ask_udp(self, name: str, record_type: int, deadline: float) -> dnswire.Reply:
        """Raises TimeoutError soon after the deadline."""
        loop = asyncio.get_running_loop()
        socket = self._usable_socket()
        if socket is None:
            async with asyncio.timeout_at(deadline):
                socket = await self._next_socket()
        message_id = _free_id(socket)
        question = _Question(name, record_type, loop.create_future(), deadline)
        socket.questions[message_id] = question
        try:
            socket.send(message_id, question)
            return await question.reply
        finally:
            socket.release(message_id)

    def _usable_socket(self) -> _Socket | None:
        socket = self._socket
        if socket is None or socket.transport is None or socket.transport.is_closing():
            return None
        socket.used += 1
        if socket.used < QUERIES_PER_SOCKET:
            return socket
        self._retire(socket)
        return None

    async def _next_socket(self) -> _Socket:
        """One for all who come while it is opened: a thousand questions at once must not be a thousand sockets."""
        while (socket := self._usable_socket()) is None:
            if self._opening is None:
                self._opening = asyncio.create_task(self._open_socket())
                self._opening.add_done_callback(self._opened)
            await asyncio.shield(self._opening)
        return socket

    def _opened(self, opening: "asyncio.Task[None]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # those who wait are told; there may be none left

    async def _open_socket(self) -> None:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_datagram_endpoint(
            _Socket, remote_addr=(self.address, self.port), local_addr=self._local
        )
        if self._socket is not None and not self._socket.retired:
            self._retire(self._socket)
        self._socket = socket

    def _retire(self, socket: _Socket) -> None:
        socket.retired = True
        if not socket.questions:
            socket.close()

    async def _ask_tcp(self, name: str, record_type: int) -> dnswire.Reply:
        reader, writer = await asyncio.open_connection(self.address, self.port, local_addr=self._local)
        try:
            query = dnswire.encode_query(_random_id(), name, record_type)
            writer.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await reader.readexactly(2), "big")
            wire = await reader.readexactly(length)
            if dnswire.message_id(wire) != int.from_bytes(query[:2], "big"):
                raise dnswire.BadMessage("an answer to another question")
            return dnswire.decode_reply(wire, name, record_type)
        finally:
            writer.close()

    def close(self) -> None:
        if self._opening is not None:  # who waits for it shall be told that it is closed
            self._opening.add_done_callback(lambda _: self.close())
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def local_end(address: str, source_address: str | None) -> tuple[str, int] | None:
    """Where to send from to reach `address`; any local address when the wanted one is of the other family."""
    fits = source_address is not None and (":" in source_address) == (":" in address)
    return (source_address, 0) if fits and source_address is not None else None


def _free_id(socket: _Socket) -> int:
    while (message_id := _random_id()) in socket.questions:
        pass
    return message_id


def _random_id() -> int:
    return int.from_bytes(os.urandom(2), "big")
