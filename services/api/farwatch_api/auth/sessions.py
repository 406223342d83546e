"""Sessions live in the database; the browser holds only a random id."""

from dataclasses import dataclass
from datetime import datetime

from farwatch_api.auth.identity import Identity
from farwatch_api.auth.tokens import digest, new_secret
from farwatch_store import Connection

COOKIE = "farwatch_session"
SEEN_EVERY_SECONDS = 60

_FIND = """
    select s.id_hash, s.csrf_token, s.last_seen_at, u.id as user_id, u.email, u.name, u.role
    from auth.sessions s join auth.users u on u.id = s.user_id
    where s.id_hash = $1 and s.expires_at > now() and u.disabled_at is null
"""

# Once a minute is enough for "last seen", and keeps reading a page from being a write.
_TOUCH = """
    update auth.sessions set last_seen_at = now()
    where id_hash = $1 and last_seen_at < now() - make_interval(secs => $2)
"""

_ADD = """
    insert into auth.sessions (id_hash, user_id, csrf_token, address, user_agent, expires_at)
    values ($1, $2, $3, $4, $5, now() + make_interval(days => $6))
"""


@dataclass(frozen=True, slots=True)
class NewSession:
    id: str
    csrf_token: str
    days: int


async def open_session(connection: Connection, user_id: int, days: int, address: str, user_agent: str) -> NewSession:
    session = NewSession(new_secret(), new_secret(), days)
    agent = user_agent.replace("\0", "")[:300]
    await connection.execute(_ADD, digest(session.id), user_id, session.csrf_token, address[:64], agent, days)
    return session


async def find_session(connection: Connection, session_id: str, now: datetime) -> Identity | None:
    row = await connection.fetchrow(_FIND, digest(session_id))
    if row is None:
        return None
    if (now - row["last_seen_at"]).total_seconds() > SEEN_EVERY_SECONDS:
        await connection.execute(_TOUCH, row["id_hash"], float(SEEN_EVERY_SECONDS))
    return Identity(
        "session",
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        role=row["role"],
        csrf_token=row["csrf_token"],
        session_hash=row["id_hash"],
    )


async def end_session(connection: Connection, id_hash: bytes) -> None:
    await connection.execute("delete from auth.sessions where id_hash = $1", id_hash)


async def end_sessions_of(connection: Connection, user_id: int) -> None:
    await connection.execute("delete from auth.sessions where user_id = $1", user_id)


async def sweep(connection: Connection) -> None:
    """Takes away what has run out: sessions, set-up links, old throttle entries."""
    await connection.execute("delete from auth.sessions where expires_at < now()")
    await connection.execute("delete from auth.setup_links where expires_at < now()")
    await connection.execute(
        "delete from auth.throttle where greatest(first_at, blocked_until) < now() - interval '1 day'"
    )
