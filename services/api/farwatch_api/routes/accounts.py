"""Users and bearer tokens."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import documented, json_object
from farwatch_api.commands import accounts as commands
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.routes.auth import open_session_for
from farwatch_api.rows import Row

tokens = APIRouter(prefix="/api/tokens", tags=["tokens"])
users = APIRouter(prefix="/api/users", tags=["users"])

_TOKENS = """
    select id, user_id, name, prefix, scope, created_at, last_used_at, expires_at from auth.tokens
    where revoked_at is null and ($1::bigint is null or id > $1) order by id limit $2
"""
_USERS = """
    select id, email, name, role, created_at, password_changed_at, disabled_at from auth.users
    where $1::bigint is null or id > $1 order by id limit $2
"""


def describe_token(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "name": row["name"],
        "prefix": row["prefix"],
        "scope": row["scope"],
        "created_at": views.moment(row["created_at"]),
        "last_used_at": views.moment(row["last_used_at"]),
        "expires_at": views.moment(row["expires_at"]),
    }


def describe_user(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "email": row["email"],
        "name": row["name"],
        "role": row["role"],
        "disabled": row["disabled_at"] is not None,
        "created_at": views.moment(row["created_at"]),
        "password_changed_at": views.moment(row["password_changed_at"]),
    }


@tokens.get("", summary="List tokens; the tokens themselves are never shown again")
async def get_tokens(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    after = decode_cursor("tokens", cursor, (int,)) or [None]
    async with deps.read() as connection:
        rows = await connection.fetch(_TOKENS, after[0], limit + 1)
    items = [describe_token(row) for row in rows[:limit]]
    return success(page(items, encode_cursor("tokens", (items[-1]["id"],)) if len(rows) > limit else None))


@tokens.post(
    "",
    status_code=201,
    summary="Create a token; `data.token` is shown this once",
    openapi_extra=documented(commands.TokenBody),
)
async def post_token(request: Request, deps: Dependencies, identity: Requester) -> Response:
    token_id, token = await commands.create_token(deps, identity, await json_object(request))
    async with deps.read() as connection:
        rows = await connection.fetch(_TOKENS, token_id - 1, 1)
    return success({**describe_token(rows[0]), "token": token}, "Copy the token now: it is not shown again.", 201)


@tokens.delete("/{token_id}", summary="Revoke a token")
async def delete_token(deps: Dependencies, identity: Requester, token_id: Id) -> Response:
    await commands.revoke_token(deps, identity, token_id)
    return success({"id": token_id}, "Token revoked.")


async def read_user(deps: Deps, user_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        rows = await connection.fetch(_USERS, user_id - 1, 1)
    if not rows or rows[0]["id"] != user_id:
        raise NotFound("user")
    return describe_user(rows[0])


@users.get("", summary="List users")
async def get_users(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    after = decode_cursor("users", cursor, (int,)) or [None]
    async with deps.read() as connection:
        rows = await connection.fetch(_USERS, after[0], limit + 1)
    items = [describe_user(row) for row in rows[:limit]]
    return success(page(items, encode_cursor("users", (items[-1]["id"],)) if len(rows) > limit else None))


@users.post("", status_code=201, summary="Create a user", openapi_extra=documented(commands.UserBody))
async def post_user(request: Request, deps: Dependencies, identity: Requester) -> Response:
    user_id = await commands.create_user(deps, identity, await json_object(request))
    return success(await read_user(deps, user_id), "User created.", 201)


@users.get("/{user_id}", summary="One user")
async def get_user(deps: Dependencies, user_id: Id) -> Response:
    return success(await read_user(deps, user_id))


@users.patch(
    "/{user_id}",
    summary="Change a user; a new password ends all their sessions",
    openapi_extra=documented(commands.UserChange),
)
async def patch_user(request: Request, deps: Dependencies, identity: Requester, user_id: Id) -> Response:
    ended = await commands.change_user(deps, identity, user_id, await json_object(request))
    data = await read_user(deps, user_id)
    if ended and identity.kind == "session" and identity.user_id == user_id:
        return await open_session_for(request, deps, user_id, data)
    return success(data, "User saved.")


@users.delete("/{user_id}", summary="Delete a user with their sessions and tokens")
async def delete_user(deps: Dependencies, identity: Requester, user_id: Id) -> Response:
    await commands.delete_user(deps, identity, user_id)
    return success({"id": user_id}, "User deleted.")
