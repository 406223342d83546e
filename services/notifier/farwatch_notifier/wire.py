"""One HTTP/1.1 exchange over a connection of its own: connect, write, read the answer, close.

No connection is used twice: a service that ends one while we write, or sends a body with a 204, would break the next
message after it was taken, and its retry would be a repeat. h11 keeps the protocol; names, TLS and bytes are asyncio's.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import h11

READ_BYTES = 65_536
HEAD_MAX_BYTES = 64 * 1024
IDLE_SECONDS = 1.0
"""A connection that was held longer is made anew: services close idle ones, and a message would break on it."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect. `host` is what the certificate must be for, `tls` None for plain text."""

    host: str
    port: int
    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Header names in lower case; at most the asked-for bytes of the body."""

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class WireError(Exception):
    """The exchange failed; `connected` says whether the request may have arrived."""

    def __init__(self, error: str, *, connected: bool) -> None:
        super().__init__(error)
        self.connected = connected


async def exchange(
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    answer_max_bytes: int,
    hold: Callable[[], Awaitable[None]] | None = None,
) -> RawAnswer:
    """The caller bounds the time. `hold` is awaited between connecting and writing. Raises WireError."""
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX_BYTES)
    try:
        request = h11.Request(method=method, target=target, headers=[*headers, (b"connection", b"close")])
        data = (protocol.send(request) or b"") + (protocol.send(h11.Data(data=body)) or b"" if body else b"")
        data += protocol.send(h11.EndOfMessage()) or b""
    except h11.LocalProtocolError as error:
        raise ValueError(str(error)) from None
    reader, writer = await _connect(endpoint)
    if hold is not None:
        reader, writer = await _held(endpoint, (reader, writer), hold)
    try:
        writer.write(data)
        return await _read_answer(protocol, reader, answer_max_bytes)
    except (OSError, EOFError) as error:
        raise WireError(str(error) or type(error).__name__, connected=True) from error
    except h11.RemoteProtocolError as error:
        raise WireError(f"the answer is no HTTP: {error}", connected=True) from error
    finally:
        _close(writer)


async def _held(endpoint: Endpoint, streams: Streams, hold: Callable[[], Awaitable[None]]) -> Streams:
    began = time.monotonic()
    reader, writer = streams
    try:
        await hold()
    except BaseException:
        _close(writer)
        raise
    if time.monotonic() - began <= IDLE_SECONDS and not reader.at_eof() and not writer.is_closing():
        return streams
    _close(writer)
    return await _connect(endpoint)


async def _connect(endpoint: Endpoint) -> Streams:
    name = endpoint.host if endpoint.tls is not None else None
    try:
        return await asyncio.open_connection(
            endpoint.host, endpoint.port, ssl=endpoint.tls, server_hostname=name, limit=READ_BYTES
        )
    except (OSError, EOFError) as error:
        raise WireError(str(error) or type(error).__name__, connected=False) from error


async def _read_answer(protocol: h11.Connection, reader: asyncio.StreamReader, answer_max_bytes: int) -> RawAnswer:
    response: h11.Response | None = None
    body = b""
    while True:
        try:
            event = await _next_event(protocol, reader)
        except (OSError, EOFError, h11.RemoteProtocolError):
            if response is None:
                raise
            event = h11.EndOfMessage()  # the status has come, and that is the answer
        if isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        if response is not None and (len(body) >= answer_max_bytes or isinstance(event, h11.EndOfMessage)):
            reason = response.reason.decode("latin-1")
            return RawAnswer(response.status_code, reason, list(response.headers), body[:answer_max_bytes])


async def _next_event(protocol: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := protocol.next_event()) is h11.NEED_DATA:
        data = await reader.read(READ_BYTES)
        if not data and protocol.their_state is h11.SEND_RESPONSE and not protocol.trailing_data[0]:
            raise EOFError("the connection was closed before an answer came")
        protocol.receive_data(data)
    return event


def _close(writer: asyncio.StreamWriter) -> None:
    """What arrived is ours: TLS is cut without a goodbye, which the other end could draw out."""
    if writer.get_extra_info("ssl_object") is not None:
        writer.transport.abort()
    else:
        writer.close()
