"""The first administrator: by settings, or through a link that works once."""

import os
import re
from pathlib import Path

import structlog

from farwatch_api.auth.passwords import Passwords, password_problem
from farwatch_api.auth.tokens import digest, new_secret
from farwatch_api.problems import Invalid, Problem, problem
from farwatch_api.settings import ApiSettings
from farwatch_events.events import EventMeta, UserCreated
from farwatch_store import Connection, Database, append

log = structlog.get_logger("farwatch_api")

LINK_HOURS = 24
_LOCK = 0x5E70  # any number that no other advisory lock uses
_EMAIL = re.compile(r"^[^@\s<>\"',;()]{1,64}@[^@\s<>\"',;()]{1,190}$")

_ADD_USER = "insert into auth.users (email, name, password_hash) values ($1, $2, $3) returning id"

# Links of processes that started together with this one stay good; older ones are what a restart replaces.
_FORGET_OLD_LINKS = "delete from auth.setup_links where created_at < now() - interval '1 minute'"

_ADD_LINK = """
    insert into auth.setup_links (token_hash, expires_at) values ($1, now() + make_interval(hours => $2))
"""

_USE_LINK = """
    update auth.setup_links set used_at = now()
    where token_hash = $1 and used_at is null and expires_at > now() returning true
"""


def clean_email(email: str) -> str:
    return email.strip().lower()


def account_problems(email: str, password: str) -> list[Problem]:
    problems = []
    if not _EMAIL.match(email):
        problems.append(problem("email", "must be an e-mail address such as you@example.com"))
    if wrong := password_problem(password, email):
        problems.append(problem("password", wrong))
    return problems


async def has_users(connection: Connection) -> bool:
    return bool(await connection.fetchval("select exists (select from auth.users)"))


async def add_user(
    connection: Connection, email: str, name: str, password_hash: str, meta: EventMeta, now_ms: int
) -> int:
    user_id = int(await connection.fetchval(_ADD_USER, email, name, password_hash))
    event = UserCreated(at_ms=now_ms, user_id=user_id, email=email)
    await append(connection, event.stream, [event], meta, 0)
    return user_id


async def prepare(db: Database, settings: ApiSettings, passwords: Passwords, base_url: str, now_ms: int) -> None:
    """At start, while nobody exists: makes the configured administrator, or writes a set-up link."""
    async with db.connection() as connection:
        if await has_users(connection):
            return
    if settings.admin_email is not None and settings.admin_password is not None:
        await _make_configured_admin(
            db, settings.admin_email, settings.admin_password.get_secret_value(), passwords, now_ms
        )
        return
    token = new_secret()
    async with db.transaction() as connection:
        await connection.execute(_FORGET_OLD_LINKS)
        await connection.execute(_ADD_LINK, digest(token), LINK_HOURS)
    publish_link(f"{base_url}/setup?token={token}", settings.setup_link_file)


async def _make_configured_admin(db: Database, email: str, password: str, passwords: Passwords, now_ms: int) -> None:
    email = clean_email(email)
    hashed = await passwords.hash(password)
    async with db.transaction() as connection:
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        if not await has_users(connection):
            await add_user(connection, email, "", hashed, EventMeta(actor="settings"), now_ms)
            log.info("admin_created", email=email)


def publish_link(link: str, file: Path | None) -> None:
    """Into the file, readable for its owner only, or into the log: whoever reads either may become administrator."""
    if file is None:
        log.info("setup_link", link=link, hours=LINK_HOURS)
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(link + "\n")
    temporary.replace(file)
    log.info("setup_link_written", file=str(file), hours=LINK_HOURS)


async def complete(db: Database, token: str, email: str, name: str, password_hash: str, now_ms: int) -> int | None:
    """Makes the first administrator and returns the id; None when the link is not good or somebody was quicker."""
    async with db.transaction() as connection:
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        if await has_users(connection) or not await connection.fetchval(_USE_LINK, digest(token)):
            return None
        user_id = await add_user(connection, email, name, password_hash, EventMeta(actor="setup"), now_ms)
        await connection.execute("delete from auth.setup_links")
        return user_id


async def link_is_good(connection: Connection, token: str) -> bool:
    found = await connection.fetchval(
        "select true from auth.setup_links where token_hash = $1 and used_at is null and expires_at > now()",
        digest(token),
    )
    return bool(found)


def require_account(email: str, password: str) -> None:
    if problems := account_problems(email, password):
        raise Invalid(problems)
