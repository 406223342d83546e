"""The jsonb codec. Binary, because COPY takes no text codecs."""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from farwatch_store.connection import Connection

_VERSION = b"\x01"
_dump = TypeAdapter(Any).dump_json
"""Several times as fast as json.dumps, which twice a result is a good part of what the fold costs. NaN becomes null."""


def encode(value: Any) -> bytes:
    """`value` as jsonb's binary form. NUL and lone surrogates, which jsonb refuses, become U+FFFD:
    otherwise one odd byte in a target's answer would stop the whole batch it is part of."""
    try:
        text = _dump(value)
        if b"\\u0000" not in text:
            return _VERSION + text
    except PydanticSerializationError:
        pass
    return _VERSION + _dump(_scrub(value))


def decode(data: bytes) -> Any:
    return json.loads(data[1:])


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item) for item in value]
    return value


async def set_codec(connection: Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=encode, decoder=decode, format="binary")
