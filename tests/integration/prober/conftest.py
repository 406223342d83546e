"""Probes run on uvloop, as they do in the prober."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
import uvloop

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import CheckResult
from farwatch_prober.authorities import Authorities
from farwatch_prober.context import Tools
from farwatch_prober.curl import CurlEngine
from farwatch_prober.icmp import Pinger
from farwatch_prober.policy import AddressPolicy
from farwatch_prober.resolver import Resolver, SystemFiles
from farwatch_prober.runner import Runner
from farwatch_prober.secrets import Revealer
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from tests.integration.prober.misbehaving import DnsServer

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
Check = Callable[..., Awaitable[CheckResult]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def box() -> SecretBox:
    return SecretBox.from_keys([KEY])


@pytest.fixture
async def name_server() -> AsyncIterator[DnsServer]:
    server = DnsServer()
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def resolver(name_server: DnsServer, tmp_path: Path) -> AsyncIterator[Resolver]:
    made = Resolver(system_files(tmp_path, ("127.0.0.1", name_server.port)))
    yield made
    await made.close()


def system_files(folder: Path, *servers: tuple[str, int], hosts: str = "127.0.0.1 good.test bad.test") -> SystemFiles:
    """Files of the test's own, so that no answer depends on the machine."""
    (folder / "hosts").write_text(hosts)
    (folder / "resolv.conf").write_text("")
    return SystemFiles(servers, folder / "hosts", folder / "resolv.conf")


@pytest.fixture
def policy() -> AddressPolicy:
    return AddressPolicy()


@pytest.fixture
async def tools(resolver: Resolver, policy: AddressPolicy, ca: trustme.CA, tmp_path: Path) -> AsyncIterator[Tools]:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authorities = Authorities(tmp_path / "ca.pem")
    made = Tools(resolver, policy, CurlEngine(authorities.path), Pinger(), authorities=authorities.path)
    yield made
    await made.close()
    authorities.close()


@pytest.fixture
def check(tools: Tools, box: SecretBox) -> Check:
    """Runs one check of the given fields: by default one try, at most 2 s."""
    runner = Runner(tools, Revealer(box), now_ms, structlog.get_logger())

    async def run(**fields: Any) -> CheckResult:
        base: dict[str, Any] = {"name": "x", "interval_seconds": 60, "timeout_seconds": 2, "retries": 0}
        late_ms = fields.pop("late_ms", 0)
        due = DueCheck(monitor_id=1, config_version=1, slot_ms=now_ms() - late_ms, spec=parse_monitor(base | fields))
        return await runner.run(due, epoch=1)

    return run
