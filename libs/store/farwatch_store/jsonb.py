"""The jsonb codec. Binary, because COPY takes no text codecs."""

import json
from typing import Any

from farwatch_store.connection import Connection

_VERSION = b"\x01"


def encode(value: Any) -> bytes:
    """`value` as jsonb's binary form. NUL and lone surrogates, which jsonb refuses, become U+FFFD:
    otherwise one odd byte in a target's answer would stop the whole batch it is part of."""
    text = _dump(value)
    try:
        if "\\u0000" not in text:
            return _VERSION + text.encode()
    except UnicodeEncodeError:
        pass
    return _VERSION + _dump(_scrub(value)).encode()


def decode(data: bytes) -> Any:
    return json.loads(data[1:])


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


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
