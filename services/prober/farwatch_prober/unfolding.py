"""Compressed bodies, unfolded in steps so that a small answer never becomes a large one. Pure.

Only gzip and deflate: a brotli decoder sets aside up to 16 MB for each answer before it gives out its first byte.
"""

import zlib
from typing import Protocol

OFFERED = "gzip, deflate"
STEP_BYTES = 64 * 1024

_GZIP = zlib.MAX_WBITS | 16


class Unfolder(Protocol):
    def unfold(self, chunk: bytes, most: int) -> bytes:
        """What the chunk stands for, a little over `most` bytes at the longest. Raises zlib.error."""
        ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)

    def unfold(self, chunk: bytes, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk and size <= most and not self._decoder.eof:
            part = self._decoder.decompress(chunk, STEP_BYTES)
            parts.append(part)
            size += len(part)
            chunk = self._decoder.unconsumed_tail
        return b"".join(parts)


class _Deflate:
    """With its zlib wrapper (RFC 9110, 8.4.1.2), or bare as some servers send it."""

    def __init__(self) -> None:
        self._inner: _Zlib | None = None

    def unfold(self, chunk: bytes, most: int) -> bytes:
        if self._inner is None:
            self._inner = _Zlib(zlib.MAX_WBITS if chunk[:1] and chunk[0] & 0x0F == 8 else -zlib.MAX_WBITS)
        return self._inner.unfold(chunk, most)


def unfolder_of(encoding: str) -> Unfolder | None:
    """For the value of Content-Encoding; None for a body that is sent as it is. Raises ValueError for any other."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Zlib(_GZIP)
        case "deflate":
            return _Deflate()
    raise ValueError(f"unknown content encoding {encoding.strip()[:40]!r}")
