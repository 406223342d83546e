"""The api over real servers: `client` goes through the whole application, the gate included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from farwatch_api.app import create_app
from farwatch_api.auth.passwords import Passwords
from farwatch_api.deps import Deps
from farwatch_api.hub import Hub
from farwatch_api.push import push_publisher
from farwatch_api.settings import ApiSettings
from farwatch_bus import Bus
from farwatch_events.events import EventMeta
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Connection, Database

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
API_TOKEN = "an-api-token-for-tests-of-32-chars-or-more"
PASSWORD = "correct horse battery"
EMAIL = "admin@example.com"
BASE = "http://farwatch.test"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> ApiSettings:
    keys = tmp_path / "keys"
    keys.write_text(KEY + "\n")
    return ApiSettings.model_validate({"database_url": database_url, "secret_key_file": keys, "api_token": API_TOKEN})


class TestDeps(Deps):
    """What the routes work with, under the api's own role; and `direct`, which writes what other services own."""

    __test__ = False
    owner: Database

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[Connection]:
        async with self.owner.transaction() as connection:
            yield connection


@pytest.fixture
async def deps(bus: Bus, database: Database, database_url: str, settings: ApiSettings) -> AsyncIterator[TestDeps]:
    under_role = await Database.connect(database_url, "farwatch_api")
    quick = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    made = TestDeps(
        under_role, bus, push_publisher(bus), SecretBox.from_keys([KEY]), settings, Hub(under_role), Passwords(quick)
    )
    made.owner = database
    await made.hub.start(bus)
    yield made
    await made.hub.close()
    made.passwords.close()
    await under_role.close()


@pytest.fixture
def app(deps: TestDeps) -> FastAPI:
    return create_app(deps)


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody: no token, no cookie."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=20) as client:
        yield client


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator by FARWATCH_API_TOKEN."""
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=20) as client:
        yield client


@dataclass
class Browser:
    http: httpx.AsyncClient
    csrf: str
    user_id: int

    def headers(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.csrf}


@pytest.fixture
async def user_id(deps: TestDeps) -> int:
    from farwatch_api.auth.setup import add_user

    hashed = await deps.passwords.hash(PASSWORD)
    async with deps.write() as connection:
        return await add_user(connection, EMAIL, "Ada", hashed, EventMeta(actor="test"), deps.now_ms())


@pytest.fixture
async def browser(app: FastAPI, user_id: int) -> AsyncIterator[Browser]:
    """A person who has signed in."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=20) as http:
        answer = await http.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield Browser(http, answer.json()["data"]["csrf_token"], user_id)


class Data(Protocol):
    def __call__(self, response: httpx.Response, status: int = 200) -> Any: ...


@pytest.fixture
def data() -> Data:
    """The data of an answer, after looking at its status and its envelope."""

    def unwrap(response: httpx.Response, status: int = 200) -> Any:
        assert response.status_code == status, response.text
        body = response.json()
        assert set(body) == {"status", "data", "message", "timestamp"}
        assert body["status"] == ("success" if status < 400 else "error")
        assert body["timestamp"].endswith("Z")
        return body["data"]

    return unwrap
