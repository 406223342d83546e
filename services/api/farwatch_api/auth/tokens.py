"""Random identifiers that sign people and programs in; only their hashes are stored. Pure but for the randomness."""

import hashlib
import hmac
import secrets

PREFIX = "fw_"
SHOWN_CHARS = 8
LONGEST_BEARER = 512


def new_token() -> str:
    """A bearer token: 32 random bytes after a prefix that scanners for leaked secrets can find."""
    return PREFIX + secrets.token_urlsafe(32)


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """These secrets are 256 bits of randomness, so a plain hash is as good as a slow one."""
    return hashlib.sha256(secret.encode()).digest()


def shown_part(token: str) -> str:
    """What lists show, enough to tell tokens apart."""
    return token[:SHOWN_CHARS]


def bearer_of(authorization: str) -> str | None:
    """The token of an Authorization header, None when there is none or it is of another kind."""
    kind, _, value = authorization.partition(" ")
    value = value.strip()
    if kind.lower() != "bearer" or not value or len(value) > LONGEST_BEARER:
        return None
    return value


def same(given: str, expected: str) -> bool:
    """Equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
