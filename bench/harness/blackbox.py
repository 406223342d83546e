"""Debian's prometheus-blackbox-exporter, asked for one probe after the other as Prometheus does it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from farwatch_cli.embedded.files import free_port
from tests.support.waiting import eventually

PROGRAM = "prometheus-blackbox-exporter"

_CONFIG = """\
modules:
  http:
    prober: http
    timeout: 10s
    http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {authorities}}}}}
  port:
    prober: tcp
    timeout: 10s
    tcp: {{preferred_ip_protocol: ip4}}
  ping:
    prober: icmp
    timeout: 2s
    icmp: {{preferred_ip_protocol: ip4}}
  dns:
    prober: dns
    timeout: 10s
    dns: {{preferred_ip_protocol: ip4, transport_protocol: udp, query_name: www.test, query_type: A}}
"""


class Blackbox:
    """`probe` runs one and tells whether it succeeded. Connections to the exporter itself are kept."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self.pid = pid
        self.failed = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def probe(self, module: str, target: str) -> bool:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        query = urlencode({"module": module, "target": target})
        writer.write(f"GET /probe?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        body = await _read_answer(reader)
        self._idle.append((reader, writer))
        return b"probe_success 1" in body

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, rest = head.partition(b"content-length: ")
    if found:
        return await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:size]
    await reader.readexactly(2)
    return body


@asynccontextmanager
async def blackbox(folder: Path, authorities: Path) -> AsyncIterator[Blackbox | None]:
    """None where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    config = folder / "blackbox.yml"
    config.write_text(_CONFIG.format(authorities=authorities))
    port = free_port()
    argv = [program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with (folder / "blackbox.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
    exporter = Blackbox(port, process.pid)
    try:
        await eventually(lambda: _is_open(port), 10)
        yield exporter
    finally:
        exporter.close()
        process.terminate()
        await process.wait()


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
