"""A small local target for `farwatch demo`: pages that are well, slow or broken as the clock has it, and their name."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SHOP_NAME: Final = "shop.example.test"

_PERIOD_SECONDS = 240.0
_SHOP = dns.name.from_text(SHOP_NAME)


def is_broken(now_seconds: float) -> bool:
    """The checkout fails for the first 45 s of every four minutes."""
    return now_seconds % _PERIOD_SECONDS < 45


def is_slow(now_seconds: float) -> bool:
    """The search is slow for 60 s of every four minutes, while nothing else is wrong."""
    return 120 <= now_seconds % _PERIOD_SECONDS < 180


def answer(path: str, now_seconds: float) -> tuple[int, str, float]:
    """Status, text and seconds to wait before it, for a request of this path at this moment."""
    if path == "/checkout" and is_broken(now_seconds):
        return 503, "The payment service does not answer.", 0.0
    if path == "/search" and is_slow(now_seconds):
        return 200, "Results, after a while.", 1.2
    if path in ("/", "/checkout", "/search", "/docs"):
        return 200, f"Welcome to {path.strip('/') or 'the shop'}. All is well.", 0.01
    return 404, "No such page.", 0.0


def answer_name(query: bytes) -> bytes | None:
    """The reply of a name server that knows the shop and nothing else; None for what is no question."""
    try:
        asked = dns.message.from_wire(query)
        reply = dns.message.make_response(asked)
        question = asked.question[0]
    except (dns.exception.DNSException, IndexError):
        return None
    reply.flags |= dns.flags.AA
    if question.name != _SHOP:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
    return reply.to_wire()


class _Names(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer_name(data)
        if reply is not None:
            self._transport.sendto(reply, addr)


async def serve(port: int, clock: Callable[[], float], started: Callable[[], Awaitable[None]]) -> None:
    """Serves on loopback until cancelled: pages over TCP, names over UDP."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                path = head.split(b" ", 2)[1].decode("latin-1").split("?")[0]
                status, text, wait_seconds = answer(path, clock())
                await asyncio.sleep(wait_seconds)
                body = text.encode()
                reason = {200: "OK", 503: "Service Unavailable"}.get(status, "Not Found")
                lines = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(lines.encode() + body)
                await writer.drain()
        except asyncio.CancelledError:
            pass  # we are being stopped, and nobody waits for this task: Python 3.11 would print it as an error
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    names, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Names, local_addr=("127.0.0.1", port))
    try:
        async with server:
            await started()
            await server.serve_forever()
    finally:
        names.close()
