"""What the routes work with, made once in __main__ or by a test."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from farwatch_api.auth.identity import Identity
from farwatch_api.auth.passwords import Passwords
from farwatch_api.errors import ApiError
from farwatch_api.recent import Recent
from farwatch_api.settings import ApiSettings
from farwatch_bus import Bus, Publisher
from farwatch_runtime.health import Health
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Connection, Database

if TYPE_CHECKING:
    from farwatch_api.hub import Hub

ACQUIRE_SECONDS = 3.0
"""A person waits for the answer: better 503 soon than an answer late."""


@dataclass
class Deps:
    db: Database
    bus: Bus
    publisher: Publisher
    box: SecretBox
    settings: ApiSettings
    hub: "Hub"
    passwords: Passwords = field(default_factory=Passwords)
    health: Health = field(default_factory=lambda: Health("api"))
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    started: float = field(default_factory=time.monotonic)
    recent: Recent = field(init=False)
    exposing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One page of metrics of all monitors at a time: it takes memory."""

    def __post_init__(self) -> None:
        self.recent = Recent(self.read, changes=self.hub.changes)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self.db.connection(ACQUIRE_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """One transaction: the row and its event, or neither."""
        async with self.db.transaction(ACQUIRE_SECONDS) as connection:
            yield connection
        self.recent.forget()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)


def get_deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


def get_identity(request: Request) -> Identity:
    """Whoever passed the gate (access.py). Raises 401 where nobody did, as on the public routes."""
    identity = optional_identity(request)
    if identity is None:
        raise ApiError(401, "Sign in, or send a bearer token.")
    return identity


def optional_identity(request: Request) -> Identity | None:
    """As get_identity, None for nobody: for pages that also strangers see."""
    identity: Identity | None = request.scope.get("farwatch.identity")
    return identity


def base_url(request: Request, deps: Deps) -> str:
    """How people reach us, without a slash at the end."""
    return deps.settings.public_url or str(request.base_url).rstrip("/")


Dependencies = Annotated[Deps, Depends(get_deps)]
Requester = Annotated[Identity, Depends(get_identity)]
Visitor = Annotated[Identity | None, Depends(optional_identity)]
