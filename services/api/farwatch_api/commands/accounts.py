"""Users and their tokens."""

from collections.abc import Mapping
from typing import Any, Literal

import asyncpg
from pydantic import AwareDatetime, Field

from farwatch_api.auth.identity import Identity
from farwatch_api.auth.sessions import end_sessions_of
from farwatch_api.auth.setup import account_problems, add_user, clean_email
from farwatch_api.auth.tokens import digest, new_token, shown_part
from farwatch_api.bodies import validate
from farwatch_api.deps import Deps
from farwatch_api.errors import ApiError, Conflict, NotFound
from farwatch_api.problems import Invalid
from farwatch_api.rows import Row
from farwatch_events.events import TokenCreated, TokenRevoked, UserChanged, UserDeleted
from farwatch_events.monitor import Name, Strict
from farwatch_store import Connection, append

_INSERT_BEARER = """
    insert into auth.tokens (user_id, name, token_hash, prefix, scope, expires_at)
    values ($1, $2, $3, $4, $5, $6) returning id
"""
_REVOKE = """
    update auth.tokens set revoked_at = now() where id = $1 and revoked_at is null returning user_id
"""
_LOCK_USER = "select * from auth.users where id = $1 for update"
_UPDATE_USER = """
    update auth.users set email = $2, name = $3, disabled_at = $4, password_hash = $5,
        password_changed_at = case when password_hash = $5 then password_changed_at else now() end
    where id = $1
"""

# Whoever locks all rows first decides; two people cannot remove each other at the same moment.
_ADMINS_LEFT = """
    select count(*) from (
        select id from auth.users where role = 'admin' and disabled_at is null order by id for update
    ) as admins where id <> $1
"""
_EMAIL_TAKEN = "belongs to another user"


class TokenBody(Strict):
    name: Name
    scope: Literal["read", "write"] = "read"
    expires_at: AwareDatetime | None = None
    user_id: int | None = Field(default=None, ge=1)


class UserBody(Strict):
    email: str = Field(max_length=255)
    name: str = Field(default="", max_length=200)
    password: str


class UserChange(Strict):
    email: str | None = Field(default=None, max_length=255)
    name: str | None = Field(default=None, max_length=200)
    password: str | None = None
    current_password: str | None = Field(default=None, max_length=1024)
    disabled: bool | None = None


async def create_token(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> tuple[int, str]:
    """The id and the token itself, which nobody sees again. Raises Invalid."""
    body = validate(TokenBody, dict(data))
    if body.expires_at is not None and body.expires_at <= deps.now():
        raise Invalid.at("expires_at", "must be in the future")
    token = new_token()
    async with deps.write() as connection:
        owner = await _owner(connection, identity, body.user_id)
        values = (owner, body.name, digest(token), shown_part(token), body.scope, body.expires_at)
        token_id = int(await connection.fetchval(_INSERT_BEARER, *values))
        event = TokenCreated(at_ms=deps.now_ms(), user_id=owner, token_id=token_id, name=body.name, scope=body.scope)
        await append(connection, event.stream, [event], identity.meta, None)
    return token_id, token


async def _owner(connection: Connection, identity: Identity, wanted: int | None) -> int:
    """A token belongs to a user: whoever asks, or the one named, or the first for the environment's token."""
    chosen = wanted or identity.user_id
    query = (
        "select id from auth.users where ($1::bigint is null or id = $1) and disabled_at is null order by id limit 1"
    )
    found = await connection.fetchval(query, chosen)
    if found is None:
        raise Invalid.at("user_id", "must name a user: create one first")
    return int(found)


async def revoke_token(deps: Deps, identity: Identity, token_id: int) -> None:
    async with deps.write() as connection:
        owner = await connection.fetchval(_REVOKE, token_id)
        if owner is None:
            raise NotFound("token")
        event = TokenRevoked(at_ms=deps.now_ms(), user_id=owner, token_id=token_id)
        await append(connection, event.stream, [event], identity.meta, None)


async def create_user(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    body = validate(UserBody, dict(data))
    email = clean_email(body.email)
    if problems := account_problems(email, body.password):
        raise Invalid(problems)
    hashed = await deps.passwords.hash(body.password)
    try:
        async with deps.write() as connection:
            return await add_user(connection, email, body.name, hashed, identity.meta, deps.now_ms())
    except asyncpg.UniqueViolationError:
        raise Invalid.at("email", _EMAIL_TAKEN) from None


async def change_user(deps: Deps, identity: Identity, user_id: int, data: Mapping[str, Any]) -> bool:
    """True when the password changed: every session of the user has ended then."""
    body = validate(UserChange, dict(data))
    async with deps.read() as connection:
        row: Row | None = await connection.fetchrow("select * from auth.users where id = $1", user_id)
    if row is None:
        raise NotFound("user")
    hashed = await _new_hash(deps, identity, row, body)
    try:
        async with deps.write() as connection:
            await _save_user(deps, identity, connection, user_id, body, hashed)
    except asyncpg.UniqueViolationError:
        raise Invalid.at("email", _EMAIL_TAKEN) from None
    return hashed is not None


async def _new_hash(deps: Deps, identity: Identity, row: Row, body: UserChange) -> str | None:
    """Hash of the new password, None when it stays. Whoever changes their own must know the old one."""
    if body.password is None:
        return None
    email = clean_email(body.email) if body.email is not None else row["email"]
    if problems := account_problems(email, body.password):
        raise Invalid(problems)
    if (
        identity.kind == "session"
        and identity.user_id == row["id"]
        and not await deps.passwords.verify(row["password_hash"], body.current_password or "")
    ):
        raise ApiError(403, "current_password is wrong.")
    return await deps.passwords.hash(body.password)


async def _save_user(
    deps: Deps, identity: Identity, connection: Connection, user_id: int, body: UserChange, hashed: str | None
) -> None:
    row = await _lock_user(connection, user_id)
    email = clean_email(body.email) if body.email is not None else row["email"]
    if problems := [p for p in account_problems(email, "irrelevant-here-1") if p["field"] == "email"]:
        raise Invalid(problems)
    name = row["name"] if body.name is None else body.name
    disabled = bool(row["disabled_at"]) if body.disabled is None else body.disabled
    if disabled and not row["disabled_at"]:
        await _require_another_admin(connection, user_id)
    disabled_at = (row["disabled_at"] or deps.now()) if disabled else None
    await connection.execute(_UPDATE_USER, user_id, email, name, disabled_at, hashed or row["password_hash"])
    if hashed is not None or disabled:
        await end_sessions_of(connection, user_id)
    changed = [
        field
        for field, differs in (
            ("email", email != row["email"]),
            ("name", name != row["name"]),
            ("disabled", disabled != bool(row["disabled_at"])),
            ("password", hashed is not None),
        )
        if differs
    ]
    if changed:
        event = UserChanged(at_ms=deps.now_ms(), user_id=user_id, changed=changed)
        await append(connection, event.stream, [event], identity.meta, None)


async def delete_user(deps: Deps, identity: Identity, user_id: int) -> None:
    """Sessions and tokens go with the user; events keep the number, which is never given again."""
    async with deps.write() as connection:
        await _require_another_admin(connection, user_id)
        row = await _lock_user(connection, user_id)
        await connection.execute("delete from auth.users where id = $1", user_id)
        event = UserDeleted(at_ms=deps.now_ms(), user_id=user_id, name=row["name"] or row["email"])
        await append(connection, event.stream, [event], identity.meta, None)


async def _lock_user(connection: Connection, user_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK_USER, user_id)
    if row is None:
        raise NotFound("user")
    return row


async def _require_another_admin(connection: Connection, user_id: int) -> None:
    if not await connection.fetchval(_ADMINS_LEFT, user_id):
        raise Conflict("This is the last administrator: make another one first.")
