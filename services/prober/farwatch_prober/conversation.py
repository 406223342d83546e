"""A TCP connection that is talked over: sent to, read from, moved to TLS."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from farwatch_events.results import Certificate, ErrorClass
from farwatch_prober.certificates import certificate_of_peer
from farwatch_prober.classify import TLS_CONNECT, TransferFault, classify_transfer
from farwatch_prober.dial import DialFault
from farwatch_prober.greetings import STARTTLS, Turn
from farwatch_prober.outcome import ProbeFailure, endpoint, in_words

_Step = TypeVar("_Step")

READ_MAX_BYTES = 64 * 1024
CLOSE_SECONDS = 0.2


class Conversation:
    """Use as `async with`. Every wait ends by `deadline` (loop time) with a ProbeFailure that says what for."""

    def __init__(self, host: str, port: int, timeout_seconds: float, deadline: float) -> None:
        self._host, self._port = host, port
        self._timeout_seconds, self._deadline = timeout_seconds, deadline
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.address = ""
        self.received = b""
        self.connect_seconds = 0.0
        self.tls_seconds: float | None = None
        self.wait_seconds: float | None = None

    @property
    def where(self) -> str:
        return endpoint(self.address, self._port)

    @property
    def text(self) -> str:
        return self.received.decode("utf-8", "replace")

    def certificate(self, now_ms: int) -> Certificate | None:
        """The leaf the server showed, None without TLS or verification."""
        shaken = self._open_streams()[1].get_extra_info("ssl_object")
        return certificate_of_peer(shaken.getpeercert() or {}, now_ms) if shaken else None

    async def connect(self, addresses: Sequence[str], source_address: str | None) -> None:
        """To the first that answers, each with an equal share of the time that is left. Raises DialFault."""
        loop = asyncio.get_running_loop()
        for number, address in enumerate(addresses):
            self.address = address
            started = time.perf_counter()
            share = max(0.0, self._deadline - loop.time()) / (len(addresses) - number)
            try:
                async with asyncio.timeout(share):
                    self._streams = await asyncio.open_connection(
                        address,
                        self._port,
                        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                        local_addr=(source_address, 0) if source_address else None,
                        limit=READ_MAX_BYTES,
                    )
            except OSError as error:
                if number == len(addresses) - 1:
                    raise DialFault(address, error.errno or errno.ETIMEDOUT) from None
            else:
                self.connect_seconds = time.perf_counter() - started
                return

    async def __aenter__(self) -> "Conversation":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            writer.close()
            with suppress(OSError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await writer.wait_closed()

    async def start_tls(self, protocol: str, context: ssl.SSLContext) -> None:
        """Asks for TLS as the protocol does and shakes hands. Raises ProbeFailure."""
        for turn in STARTTLS[protocol]:
            await self._take_turn(turn, protocol)
        started = time.perf_counter()
        _, writer = self._open_streams()
        try:
            async with asyncio.timeout_at(self._deadline):
                await writer.start_tls(context, server_hostname=self._host)
        except TimeoutError:
            waited = in_words(self._timeout_seconds)
            raise ProbeFailure(ErrorClass.TIMEOUT, f"TLS handshake timed out after {waited}") from None
        except (OSError, ValueError) as error:
            raise ProbeFailure(*self._tls_fault(error)) from None
        self.tls_seconds = time.perf_counter() - started
        self.received = b""

    async def _take_turn(self, turn: Turn, protocol: str) -> None:
        self.received = b""
        if turn.send:
            await self.send(turn.send)
        await self.read_until(lambda seen: bool(turn.good.search(seen) or turn.bad.search(seen)))
        if turn.good.search(self.received) is None:
            said = _shown(self.received)
            raise ProbeFailure(ErrorClass.PROTOCOL, f"{self.where} does not offer TLS ({protocol}): it said {said}")

    async def send(self, data: bytes) -> None:
        _, writer = self._open_streams()
        writer.write(data)
        await self._guarded(writer.drain())

    async def read_until(self, is_enough: Callable[[bytes], bool]) -> None:
        """Adds to `received` until it is enough or full. Raises ProbeFailure when the other side ends or is silent."""
        reader, _ = self._open_streams()
        started = time.perf_counter()
        while not is_enough(self.received) and len(self.received) < READ_MAX_BYTES:
            data = await self._guarded(reader.read(READ_MAX_BYTES - len(self.received)))
            if self.wait_seconds is None:
                self.wait_seconds = time.perf_counter() - started
            if not data:
                raise ProbeFailure(ErrorClass.PROTOCOL, f"{self.where} closed the connection{self._after()}")
            self.received += data

    async def _guarded(self, step: Coroutine[Any, Any, _Step]) -> _Step:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await step
        except TimeoutError:
            heard = f"only {_shown(self.received)}" if self.received else "nothing"
            waited = in_words(self._timeout_seconds)
            sentence = f"Connected to {self.where}, but it sent {heard} within {waited}"
            raise ProbeFailure(ErrorClass.TIMEOUT, sentence) from None
        except OSError as error:
            how = "reset" if error.errno == errno.ECONNRESET else "broke"
            raise ProbeFailure(ErrorClass.PROTOCOL, f"{self.where} {how} the connection{self._after()}") from None

    def _after(self) -> str:
        return f" after {_shown(self.received)}" if self.received else " without sending anything"

    def _open_streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._streams is not None
        return self._streams

    def _tls_fault(self, error: Exception) -> tuple[ErrorClass, str]:
        return classify_transfer(
            TransferFault(
                code=TLS_CONNECT,
                message=str(error),
                os_errno=getattr(error, "errno", 0) or 0,
                endpoint=self.where,
                host=self._host,
                is_tls=True,
                connected=True,
                secured=False,
                answered=False,
                timeout_seconds=self._timeout_seconds,
            )
        )


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "replace").strip().replace("\r\n", " ")
    return f'"{text[:100]}"'


@lru_cache(maxsize=4)
def client_context(authorities: Path | None, *, verify: bool) -> ssl.SSLContext:
    """Kept, since reading the authorities takes milliseconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities is not None:
        context.load_verify_locations(authorities)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
