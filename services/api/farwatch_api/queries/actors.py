"""Who "user:3", "token:5" and "link:channel-2" are, as people know them."""

from collections.abc import Iterable, Sequence

from farwatch_api.presentation.words import CHANNEL_WORDS
from farwatch_events.actors import say_actor, say_link, say_token
from farwatch_events.events import TokenCreated, UserDeleted
from farwatch_store import Connection

_USERS = "select id, coalesce(nullif(name, ''), email) as name from auth.users where id = any($1::bigint[])"
_TOKENS = "select id, name from auth.tokens where id = any($1::bigint[])"
_CHANNELS = "select id, name, type from config.channels where id = any($1::bigint[])"

# Users are removed with their tokens; the log still knows what they were called.
_GONE_USERS = """
    select (data->>'user_id')::bigint as id, data->>'name' as name from log.events
    where type = $2 and (data->>'user_id')::bigint = any($1::bigint[])
"""
_GONE_TOKENS = """
    select (data->>'token_id')::bigint as id, data->>'name' as name from log.events
    where type = $2 and (data->>'token_id')::bigint = any($1::bigint[])
"""


async def actor_names(connection: Connection, actors: Iterable[str]) -> dict[str, str]:
    """In words that fit after "by", for every actor that is no service of ours."""
    wanted = set(actors)
    names = {
        **await _users(connection, _numbers(wanted, "user:")),
        **await _tokens(connection, _numbers(wanted, "token:")),
        **await _links(connection, _numbers(wanted, "link:channel-")),
    }
    return {actor: names.get(actor) or say_actor(actor) for actor in wanted if ":" in actor}


async def actor_name(connection: Connection, actor: str) -> str:
    return (await actor_names(connection, [actor])).get(actor, actor)


def _numbers(actors: Iterable[str], prefix: str) -> list[int]:
    found = (actor.removeprefix(prefix) for actor in actors if actor.startswith(prefix))
    return [int(number) for number in found if number.isdecimal()]


async def _users(connection: Connection, ids: Sequence[int]) -> dict[str, str]:
    if not ids:
        return {}
    names = {row["id"]: row["name"] for row in await connection.fetch(_USERS, ids)}
    gone = [each for each in ids if each not in names]
    if gone:
        known = {row["id"]: row["name"] for row in await connection.fetch(_GONE_USERS, gone, UserDeleted.type)}
        names |= {each: _say_gone(known.get(each), each) for each in gone}
    return {f"user:{each}": name for each, name in names.items()}


def _say_gone(name: str | None, user_id: int) -> str:
    return f"{name} (deleted)" if name else f"a deleted user (number {user_id})"


async def _tokens(connection: Connection, ids: Sequence[int]) -> dict[str, str]:
    if not ids:
        return {}
    names = {row["id"]: row["name"] for row in await connection.fetch(_TOKENS, ids)}
    gone = [each for each in ids if each not in names]
    if gone:
        names |= {row["id"]: row["name"] for row in await connection.fetch(_GONE_TOKENS, gone, TokenCreated.type)}
    return {f"token:{each}": say_token(name) for each, name in names.items()}


async def _links(connection: Connection, ids: Sequence[int]) -> dict[str, str]:
    """A channel that was deleted keeps its row."""
    rows = await connection.fetch(_CHANNELS, ids) if ids else []
    return {f"link:channel-{row['id']}": say_link(_service(row["type"]), row["name"]) for row in rows}


def _service(channel_type: str) -> str:
    """Words for where the link stood."""
    return {"email": "an e-mail", "webhook": "a webhook"}.get(
        channel_type, CHANNEL_WORDS.get(channel_type, channel_type)
    )
