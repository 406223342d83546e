"""A name server that knows one answer: every name has the address 127.0.0.1. `python -m bench.harness.nameserver`.

It runs beside what is measured, in a process of its own, and prints its port.
"""

import asyncio
import struct
import sys
from contextlib import suppress

import uvloop

_HEADER_BYTES = 12
_ANSWER = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((127, 0, 0, 1))


class _Server(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # uvloop's own class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question_end = data.index(0, _HEADER_BYTES) + 5
        header = data[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
        self._transport.sendto(header + data[_HEADER_BYTES:question_end] + _ANSWER, addr)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Server, local_addr=("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)
    await loop.connect_read_pipe(_UntilClosed, sys.stdin)
    await asyncio.Event().wait()


class _UntilClosed(asyncio.Protocol):
    """Ends with the process that started it."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        asyncio.get_running_loop().stop()


def main() -> None:
    with suppress(RuntimeError):  # the loop was stopped
        uvloop.run(_serve())


if __name__ == "__main__":
    main()
