"""Fixtures for every suite: real servers, one clean store each test.

nats_server    a nats-server of the test's own (`.url`, `.kill()`, `.start()` again on the same port and store)
bus            a farwatch_bus.Bus connected to it
postgres_server  the session's PostgreSQL; do not stop it: `own_postgres` is one to kill and start again
database_url   a migrated database of the test's own
database       a farwatch_store.Database connected to it
http_target, http_sink  tests.support.http.HttpServer, started
smtp_sink      tests.support.smtp.SmtpSink, started, without TLS
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.databases import cloned_database, make_template
from tests.support.http import HttpServer
from tests.support.servers import NatsProcess, PostgresProcess, server_folder
from tests.support.smtp import SmtpSink

if TYPE_CHECKING:
    from farwatch_bus import Bus
    from farwatch_store import Database


@contextmanager
def _postgres(extra: dict[str, str] | None = None) -> Iterator[PostgresProcess]:
    with server_folder("postgres") as folder:
        server = PostgresProcess(folder, extra)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def nats_server() -> Iterator[NatsProcess]:
    with server_folder("nats") as folder:
        server = NatsProcess(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
async def bus(nats_server: NatsProcess) -> "AsyncIterator[Bus]":
    from farwatch_bus import Bus

    connected = await Bus.connect(nats_server.url, name="test")
    try:
        yield connected
    finally:
        await connected.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresProcess]:
    with _postgres() as server:
        make_template(server)
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A server of the test's own, empty, to be killed and started again. It takes about a second.

    What was committed survives its death: without synchronous commits the last half second would be gone.
    """
    with _postgres({"synchronous_commit": "on"}) as server:
        yield server


@pytest.fixture
async def database_url(postgres_server: PostgresProcess) -> AsyncIterator[str]:
    async with cloned_database(postgres_server) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> "AsyncIterator[Database]":
    from farwatch_store import Database

    connected = await Database.connect(database_url)
    try:
        yield connected
    finally:
        await connected.close()


@pytest.fixture
async def http_target() -> AsyncIterator[HttpServer]:
    server = HttpServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http_sink() -> AsyncIterator[HttpServer]:
    server = HttpServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def smtp_sink() -> AsyncIterator[SmtpSink]:
    server = SmtpSink()
    await server.start()
    yield server
    await server.stop()
