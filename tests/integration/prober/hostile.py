"""A server that is slow and greedy, in a process of its own so that its memory is not the prober's. Prints its port.

The path says how: /mute, /headers (without end), /body (slow, without end), /gzip and /br (bombs, then silence).
"""

import asyncio
import sys
from contextlib import suppress

import uvloop

from tests.integration.prober.bombs import bomb

HEAD = b"HTTP/1.1 200 OK\r\n"
PAUSE_SECONDS = 0.05


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        match path:
            case b"/headers":
                await drip(writer, HEAD, b"X-Filler: " + b"y" * 4000 + b"\r\n")
            case b"/body":
                await drip(writer, HEAD + b"\r\n", b"z" * 16_000)
            case b"/gzip" | b"/br":
                encoding = path[1:]
                writer.write(HEAD + b"Content-Encoding: " + encoding + b"\r\n\r\n" + bomb(encoding.decode())[:60_000])
        await asyncio.sleep(3600)
    writer.close()


async def drip(writer: asyncio.StreamWriter, head: bytes, part: bytes) -> None:
    writer.write(head)
    while True:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with the process that started it


if __name__ == "__main__":
    uvloop.run(main())
