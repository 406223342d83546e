"""A target that answers after seconds. `python -m bench.harness.slow SHORTEST LONGEST`.

It runs beside what is measured, in a process of its own, and prints its port.
"""

import asyncio
import random
import sys
from contextlib import suppress

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class _Slow(asyncio.Protocol):
    def __init__(self, shortest: float, longest: float) -> None:
        self._range = (shortest, longest)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        if self._timer is None and data.endswith(b"\r\n\r\n"):
            self._timer = asyncio.get_running_loop().call_later(random.uniform(*self._range), self._answer)

    def _answer(self) -> None:
        self._transport.write(_ANSWER)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._timer is not None:
            self._timer.cancel()


class _UntilClosed(asyncio.Protocol):
    """Ends with the process that started it."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        asyncio.get_running_loop().stop()


async def _serve(shortest: float, longest: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Slow(shortest, longest), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.connect_read_pipe(_UntilClosed, sys.stdin)
    await asyncio.Event().wait()


def main() -> None:
    with suppress(RuntimeError):  # the loop was stopped
        uvloop.run(_serve(float(sys.argv[1]), float(sys.argv[2])))


if __name__ == "__main__":
    main()
