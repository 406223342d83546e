"""Small answers that unfold into large ones."""

import base64
import gzip
from functools import cache

UNFOLDED_BYTES = 64 * 1024 * 1024

_BROTLI = (
    "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H/"
    "/w/+CYA4LADQvf/L//8//BMAcVgAoHv/Bw=="
)
"""As many zero bytes, compressed by Node's zlib.brotliCompressSync."""


@cache
def bomb(encoding: str) -> bytes:
    """UNFOLDED_BYTES of zeros as `gzip` or `br`."""
    return base64.b64decode(_BROTLI) if encoding == "br" else gzip.compress(bytes(UNFOLDED_BYTES), 1)
