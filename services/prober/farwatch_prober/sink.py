"""Where answers are kept while they arrive: each up to a limit, all of them together up to another. Pure."""

import zlib
from collections.abc import Sequence
from itertools import count

from farwatch_prober.unfolding import Unfolder, unfolder_of

BODY_MAX_BYTES = 1024 * 1024
"""Read after decompression, so a small answer cannot unfold into a large one."""
HEADERS_MAX_BYTES = 64 * 1024
QUIET_BYTES = 2048
"""Headers are many small pieces: up to this size an answer's are not counted among what all answers hold."""
TOGETHER_MAX_BYTES = 48 * 1024 * 1024
"""What slow answers may pile up: 2,000 of them would hold 2 GB if each were let to its own limit."""

_numbers = count()


class Memory:
    """The bytes that all sinks hold. Over the limit, those that hold most are emptied and end their transfers."""

    def __init__(self, limit: int = TOGETHER_MAX_BYTES) -> None:
        self.limit = limit
        self.used = 0
        self.emptied = 0
        self._sinks: dict[int, Sink] = {}

    def open(self, sink: "Sink") -> None:
        self._sinks[sink.number] = sink

    def close(self, sink: "Sink") -> None:
        self._sinks.pop(sink.number, None)
        self.used -= sink.held
        sink.held = 0

    def make_room(self) -> None:
        while self.used > self.limit:
            largest = max(self._sinks.values(), key=lambda sink: sink.held)
            self.used -= largest.held
            self.emptied += 1
            largest.starve()


class Sink:
    """One answer. `on_header` and `on_body` are libcurl's callbacks: None goes on, 0 ends the transfer."""

    __slots__ = (
        "_headers_held", "_is_begun", "_keep", "_memory", "_quiet_until", "_unfolder", "chunks", "headers",
        "headers_size", "held", "is_garbled", "number", "size", "starved",
    )  # fmt: skip

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._keep = self._headers_held = 0
        self._quiet_until = QUIET_BYTES
        self.number = next(_numbers)
        self.headers: list[bytes] = []
        self.chunks: list[bytes] = []
        self.headers_size = self.size = self.held = 0
        self.starved = self.is_garbled = self._is_begun = False
        self._unfolder: Unfolder | None = None

    def begin(self, keep: int) -> None:
        """`keep` bytes of the body are kept, the rest is counted."""
        self.headers_size = self.size = self._headers_held = 0
        self._quiet_until = QUIET_BYTES
        self._keep, self._unfolder = keep, None
        self.starved = self.is_garbled = self._is_begun = False
        self._memory.open(self)

    def end(self) -> tuple[list[bytes], bytes]:
        """The header lines and the body; nothing of them stays here."""
        self._memory.close(self)
        self._unfolder = None
        headers, body = self.headers, b"".join(self.chunks)
        self.headers, self.chunks = [], []
        return headers, body

    def starve(self) -> None:
        self.headers.clear()
        self.chunks.clear()
        self.held = 0
        self._quiet_until = -1
        self.starved = True

    def on_header(self, line: bytes) -> int | None:
        self.headers.append(line)
        self.headers_size = size = self.headers_size + len(line)
        return None if size <= self._quiet_until else self._hold_headers()

    def _hold_headers(self) -> int | None:
        if self.starved or self.headers_size > HEADERS_MAX_BYTES:
            self.headers.pop()
            return 0
        more = self.headers_size - self._headers_held
        self._headers_held = self.headers_size
        return self._hold(more)

    def on_body(self, chunk: bytes) -> int | None:
        if not self._is_begun:
            self._begin_body()
        if self._unfolder is not None and not self.starved:
            try:
                chunk = self._unfolder.unfold(chunk, BODY_MAX_BYTES - self.size)
            except zlib.error:
                self.is_garbled = True
        if self.is_garbled:
            return 0
        room = self._keep - self.size
        self.size += len(chunk)
        if self.starved or self.size > BODY_MAX_BYTES:
            return 0
        if room <= 0:
            return None
        self.chunks.append(chunk if len(chunk) <= room else chunk[:room])
        return self._hold(min(len(chunk), room))

    def _begin_body(self) -> None:
        """One that cannot be read ends the transfer, before anything is set aside for it."""
        self._is_begun = True
        try:
            self._unfolder = unfolder_of(encoding_of(self.headers))
        except ValueError:
            self.is_garbled = True

    def _hold(self, size: int) -> int | None:
        self.held += size
        self._memory.used += size
        if self._memory.used > self._memory.limit:
            self._memory.make_room()
        return 0 if self.starved else None

    @property
    def is_cut(self) -> bool:
        """The body went on beyond what is read of any."""
        return self.size > BODY_MAX_BYTES

    @property
    def is_flooded(self) -> bool:
        return self.headers_size > HEADERS_MAX_BYTES


def encoding_of(headers: Sequence[bytes]) -> str:
    """What the last of the answers says its body is packed with, "" for nothing."""
    if b"content-encoding" not in b"".join(headers).lower():  # nearly always, and quicker than to look at each
        return ""
    encoding = b""
    for line in headers:
        name, _, value = line.partition(b":")
        if line.startswith(b"HTTP/"):  # a new answer, after an interim one
            encoding = b""
        elif name.strip().lower() == b"content-encoding":
            encoding = value
    return encoding.decode("latin-1")
