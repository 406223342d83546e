"""Identifiers that sort by time."""

import os
import uuid


def uuid7(now_ms: int, entropy: bytes | None = None) -> uuid.UUID:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness.

    `entropy` is 10 bytes; given in tests and replays, drawn from the system otherwise.
    """
    random = entropy if entropy is not None else os.urandom(10)
    if len(random) != 10:
        raise ValueError("entropy must be 10 bytes")
    value = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(random, "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return uuid.UUID(int=value)
