"""Signing in: throttle, verify, open a session."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from farwatch_api.auth import throttle
from farwatch_api.auth.sessions import NewSession, end_session, open_session
from farwatch_api.auth.throttle import Attempts
from farwatch_api.deps import Deps
from farwatch_api.errors import ApiError
from farwatch_events.events import EventMeta, UserSignedIn
from farwatch_store import Connection, append

# Somebody else may count at the same moment, so the row is made first and then locked.
_TOUCH = "insert into auth.throttle (key, failures, first_at) values ($1, 0, $2) on conflict (key) do nothing"
_LOCK = "select failures, first_at, blocked_until from auth.throttle where key = $1 for update"
_SAVE = "update auth.throttle set failures = $2, first_at = $3, blocked_until = $4 where key = $1"
_FORGET = "delete from auth.throttle where key = $1"
_ACCOUNT = "select id, password_hash from auth.users where email = $1 and disabled_at is null"


@dataclass(frozen=True, slots=True)
class Visitor:
    address: str
    user_agent: str


class Throttled(ApiError):
    def __init__(self, seconds: float) -> None:
        wait = math.ceil(seconds)
        super().__init__(429, f"Too many attempts. Try again in {wait} seconds.", {"Retry-After": str(wait)})


class WrongCredentials(ApiError):
    def __init__(self) -> None:
        super().__init__(401, "The e-mail address or the password is wrong.")


async def sign_in(deps: Deps, email: str, password: str, visitor: Visitor, old: bytes | None) -> NewSession:
    """A new session for whoever knows the password. Raises Throttled or WrongCredentials.

    `old` is the hash of the session that the browser had: it ends, so that nobody can plant a session beforehand.
    """
    keys = {
        throttle.address_key(visitor.address): throttle.FREE_BY_ADDRESS,
        throttle.account_key(email): throttle.FREE_BY_ACCOUNT,
    }
    await count_attempt(deps, keys)
    async with deps.read() as connection:
        account = await connection.fetchrow(_ACCOUNT, email)
    if not await deps.passwords.verify(account["password_hash"] if account else None, password) or account is None:
        raise WrongCredentials
    async with deps.write() as connection:
        for key in keys:
            await connection.execute(_FORGET, key)
        return await begin_session(deps, connection, account["id"], visitor, old)


async def begin_session(
    deps: Deps, connection: Connection, user_id: int, visitor: Visitor, old: bytes | None
) -> NewSession:
    if old is not None:
        await end_session(connection, old)
    session = await open_session(connection, user_id, deps.settings.session_days, visitor.address, visitor.user_agent)
    event = UserSignedIn(at_ms=deps.now_ms(), user_id=user_id, address=visitor.address)
    await append(connection, event.stream, [event], EventMeta(actor=f"user:{user_id}"), None)
    return session


async def count_attempt(deps: Deps, keys: dict[str, int]) -> None:
    """Raises Throttled when one of the keys must wait; otherwise the attempt is counted under each."""
    now = deps.now().timestamp()
    async with deps.write() as connection:
        found = {key: await lock_attempts(connection, key, now) for key in sorted(keys)}
        wait = max(throttle.wait_seconds(attempts, now) for attempts in found.values())
        if wait > 0:
            raise Throttled(wait)
        for key, attempts in found.items():
            await save_attempts(connection, key, throttle.after_attempt(attempts, keys[key], now))


async def lock_attempts(connection: Connection, key: str, now: float) -> Attempts | None:
    await connection.execute(_TOUCH, key, datetime.fromtimestamp(now, UTC))
    row = await connection.fetchrow(_LOCK, key)
    if row is None or row["failures"] == 0:
        return None
    blocked = row["blocked_until"].timestamp() if row["blocked_until"] else 0.0
    return Attempts(row["failures"], row["first_at"].timestamp(), blocked)


async def save_attempts(connection: Connection, key: str, attempts: Attempts) -> None:
    blocked = datetime.fromtimestamp(attempts.blocked_until, UTC) if attempts.blocked_until else None
    first = datetime.fromtimestamp(attempts.first_at, UTC)
    await connection.execute(_SAVE, key, attempts.failures, first, blocked)
