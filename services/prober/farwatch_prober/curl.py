"""One HTTP request or TLS handshake by libcurl, to addresses that were chosen and vetted before."""

import asyncio
import calendar
import time
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import pycurl

from farwatch_prober import classify
from farwatch_prober.multi import Multi
from farwatch_prober.outcome import endpoint
from farwatch_prober.sink import BODY_MAX_BYTES, Memory, Sink
from farwatch_prober.unfolding import OFFERED

__all__ = ["BODY_MAX_BYTES", "CertificateFacts", "CurlEngine", "CurlRequest", "Transfer"]

SPARE_HANDLES = 512
CACHED_DATES = 4096
_BLANK_LINES = (b"\r\n", b"\n")
OUT_OF_MEMORY = 27
"""CURLE_OUT_OF_MEMORY, also for the bound of our own: nothing that the target did."""
USER_AGENT = "Farwatch/0.1"


@dataclass(slots=True)
class CurlRequest:
    """What follows from a specification alone, so that it may serve many times. Not to be changed.

    `handshake_only` ends after the TLS handshake. `keep_bytes` of the body are kept, the rest is counted.
    `options` are libcurl's own, set last; a request with some costs a little more. With a proxy among them
    `proxy_port` and the addresses are the proxy's, which looks the host up itself.
    """

    url: str
    host: str
    port: int
    method: str = "GET"
    headers: tuple[str, ...] = ()
    body: bytes | None = None
    verify_tls: bool = True
    is_tls: bool = False
    keep_bytes: int = BODY_MAX_BYTES
    handshake_only: bool = False
    options: tuple[tuple[int, Any], ...] = ()
    proxy_port: int | None = None
    shapes: tuple["Shape | None", "Shape | None"] = field(init=False)
    """With one address and with several: see `_shape`."""

    def __post_init__(self) -> None:
        self.shapes = (_shape(self, several=False), _shape(self, several=True))


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    not_after_ms: int
    subject: str
    issuer: str


@dataclass(slots=True)
class Transfer:
    """What came of a request. Seconds count from its start; 0 where a stage was not reached."""

    code: int
    message: str
    os_errno: int
    status: int
    headers: list[bytes]
    body: bytes
    complete: bool
    address: str
    connect_seconds: float
    tls_seconds: float
    first_byte_seconds: float
    total_seconds: float
    certificate: CertificateFacts | None
    resolved_seconds: float = 0.0


Shape = tuple[bool, bool, bool, bool, str]


class _Slot:
    """An easy handle and where its answers go. Set up for `shape`, it does not have to be again."""

    __slots__ = ("alias", "handle", "shape", "sink", "timeout_ms")

    def __init__(self, number: int, memory: Memory) -> None:
        self.handle = pycurl.Curl()
        self.alias = f"check-{number}.invalid"
        self.shape: Shape | None = None
        self.timeout_ms = 0
        self.sink = Sink(memory)


class CurlEngine:
    """One long-lived multi handle: a new one for each check would read the authorities each time."""

    def __init__(self, authorities: Path | None, source_address: str | None = None) -> None:
        self._multi: Multi | None = None
        self._authorities = str(authorities) if authorities else None
        self._source_address = source_address
        self._spare: dict[Shape | None, list[_Slot]] = {}
        self._spares = 0
        self._numbers = count(1)
        self.in_flight = 0
        self.memory = Memory()

    async def perform(self, request: CurlRequest, addresses: tuple[str, ...], timeout_seconds: float) -> Transfer:
        """The addresses are dialled in their order, IPv6 given a head start; nothing is resolved by libcurl."""
        if self._multi is None:
            self._multi = Multi()
        shape = request.shapes[len(addresses) > 1]
        slot = self._take(shape)
        slot.sink.begin(request.keep_bytes)
        self.in_flight += 1
        try:
            self._prepare(slot, shape, request)
            _aim(slot, request, addresses, timeout_seconds)
            code, message = await self._multi.run(slot.handle)
        except pycurl.error as error:
            code, message = error.args if len(error.args) == 2 else (2, str(error))
        except asyncio.CancelledError:
            slot.handle.close()
            raise
        finally:
            self.in_flight -= 1
            headers, body = slot.sink.end()
        transfer = _read(slot, request, code, message, headers, body)
        self._give_back(slot)
        return transfer

    def _take(self, shape: Shape | None) -> _Slot:
        fitting = self._spare.get(shape)
        if not fitting and self._spares >= SPARE_HANDLES:
            fitting = next(filter(None, self._spare.values()))
        if not fitting:
            return _Slot(next(self._numbers), self.memory)
        self._spares -= 1
        return fitting.pop()

    def _give_back(self, slot: _Slot) -> None:
        if self._spares < SPARE_HANDLES:
            self._spare.setdefault(slot.shape, []).append(slot)
            self._spares += 1
        else:
            slot.handle.close()

    def _prepare(self, slot: _Slot, shape: Shape | None, request: CurlRequest) -> None:
        if shape is None or shape != slot.shape:
            slot.shape = None  # half set up, should this fail
            self._set_up(slot, request)
            slot.shape = shape

    def _set_up(self, slot: _Slot, request: CurlRequest) -> None:
        """Everything that requests of one shape have in common."""
        handle = slot.handle
        handle.reset()
        slot.timeout_ms = 0
        for option, value in _FIXED:
            handle.setopt(option, value)
        handle.setopt(pycurl.HEADERFUNCTION, slot.sink.on_header)
        handle.setopt(pycurl.WRITEFUNCTION, slot.sink.on_body)
        if request.is_tls:
            self._prepare_tls(handle, request)
        if self._source_address:
            handle.setopt(pycurl.INTERFACE, f"host!{self._source_address}")
        if request.handshake_only:
            handle.setopt(pycurl.CONNECT_ONLY, 1)
        else:
            _prepare_method(handle, request)
        for option, extra in request.options:
            handle.setopt(option, extra)

    def _prepare_tls(self, handle: pycurl.Curl, request: CurlRequest) -> None:
        handle.setopt(pycurl.SSL_SESSIONID_CACHE, 0)
        handle.setopt(pycurl.OPT_CERTINFO, 1)
        if self._authorities:
            handle.setopt(pycurl.CAINFO, self._authorities)
        if not request.verify_tls:
            handle.setopt(pycurl.SSL_VERIFYPEER, 0)
            handle.setopt(pycurl.SSL_VERIFYHOST, 0)

    async def close(self) -> None:
        if self._multi is not None:
            await self._multi.close()
        for slots in self._spare.values():
            for slot in slots:
                slot.handle.close()
        self._spare.clear()
        self._spares = 0


def _shape(request: CurlRequest, *, several: bool) -> Shape | None:
    """Requests of equal shape differ in URL, time and addresses only; None for one that is set up on its own."""
    if request.headers or request.body is not None or request.options:
        return None
    return _once((request.is_tls, request.verify_tls, request.handshake_only, several, request.method))


@lru_cache(maxsize=256)
def _once(shape: Shape) -> Shape:
    """The same object for equal shapes: a hundred thousand requests have a handful of them."""
    return shape


def _aim(slot: _Slot, request: CurlRequest, addresses: tuple[str, ...], timeout_seconds: float) -> None:
    handle = slot.handle
    handle.setopt(pycurl.URL, request.url)
    timeout_ms = max(1, round(timeout_seconds * 1000))
    if timeout_ms != slot.timeout_ms:
        handle.setopt(pycurl.TIMEOUT_MS, timeout_ms)
        slot.timeout_ms = timeout_ms
    if request.proxy_port is None:
        _pin(handle, slot.alias, request.port, addresses)


def _pin(handle: pycurl.Curl, alias: str, port: int, addresses: tuple[str, ...]) -> None:
    """Whatever host libcurl reads in the URL, it connects to these addresses and no other.

    Several go through a name of this handle's own, so that libcurl tries them in turn (RFC 8305) and
    checks that run at the same time cannot change each other's addresses in its shared cache.
    """
    if len(addresses) == 1:
        handle.setopt(pycurl.CONNECT_TO, [f"::{endpoint(addresses[0], port)}"])
        return
    handle.setopt(pycurl.CONNECT_TO, [f"::{alias}:{port}"])
    handle.setopt(pycurl.RESOLVE, [f"{alias}:{port}:{','.join(addresses)}"])


_FIXED: tuple[tuple[int, int | str], ...] = (
    (pycurl.FRESH_CONNECT, 1),
    (pycurl.FORBID_REUSE, 1),
    (pycurl.DNS_CACHE_TIMEOUT, 0),
    (pycurl.PROXY, ""),
    (pycurl.NOSIGNAL, 1),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.USERAGENT, USER_AGENT),
    (pycurl.ACCEPT_ENCODING, OFFERED),
    (pycurl.HTTP_CONTENT_DECODING, 0),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
)


def _prepare_method(handle: pycurl.Curl, request: CurlRequest) -> None:
    if request.headers:
        handle.setopt(pycurl.HTTPHEADER, list(request.headers))
    if request.body is not None:
        handle.setopt(pycurl.POSTFIELDS, request.body)
    elif request.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    if request.method not in ("GET", "HEAD") or request.body is not None:
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)


def _read(slot: _Slot, request: CurlRequest, code: int, message: str, headers: list[bytes], body: bytes) -> Transfer:
    info, sink = slot.handle.getinfo, slot.sink
    if code == classify.WRITE_ERROR or sink.starved:
        code, message = _why_ended(sink, code, message)
    elif code == classify.OK and not _are_whole(headers):
        code, message = classify.PARTIAL_FILE, "headers without an end"
    return Transfer(
        code=code,
        message=message,
        os_errno=info(pycurl.OS_ERRNO) if code else 0,
        status=info(pycurl.RESPONSE_CODE),
        headers=headers,
        body=body,
        complete=not sink.is_cut,
        address=info(pycurl.PRIMARY_IP),
        connect_seconds=info(pycurl.CONNECT_TIME),
        tls_seconds=info(pycurl.APPCONNECT_TIME) if request.is_tls else 0.0,
        first_byte_seconds=info(pycurl.STARTTRANSFER_TIME),
        total_seconds=info(pycurl.TOTAL_TIME),
        certificate=_certificate(slot.handle) if request.is_tls else None,
        resolved_seconds=info(pycurl.NAMELOOKUP_TIME),
    )


def _are_whole(headers: list[bytes]) -> bool:
    """Whether the last answer's headers came to their end; libcurl takes a connection that closes for one."""
    if not headers or headers[-1] in _BLANK_LINES:
        return True
    is_whole = False  # lines after the blank one are trailers
    for line in headers:
        is_whole = line in _BLANK_LINES or (is_whole and not line.startswith(b"HTTP/"))
    return is_whole


def _why_ended(sink: Sink, code: int, message: str) -> tuple[int, str]:
    """What it means that the sink refused to take more."""
    if sink.starved and code in (classify.OK, classify.WRITE_ERROR):
        return OUT_OF_MEMORY, "no memory left for the answer"
    if sink.is_garbled:
        return classify.BAD_ENCODING, "broken or unknown content encoding"
    if sink.is_flooded:
        return classify.TOO_LARGE, "too large response headers"
    return (classify.OK, "") if sink.is_cut else (code, message)


def _certificate(handle: pycurl.Curl) -> CertificateFacts | None:
    """The leaf of the chain the server sent, None when the handshake did not come that far."""
    chain = handle.getinfo(pycurl.INFO_CERTINFO)
    if not chain or not chain[0]:
        return None
    fields = dict(chain[0])
    not_after_ms = _not_after_ms(fields.get("Expire date", ""))
    if not_after_ms is None:
        return None
    return CertificateFacts(not_after_ms, fields.get("Subject", ""), fields.get("Issuer", ""))


@lru_cache(maxsize=CACHED_DATES)
def _not_after_ms(text: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(text, "%b %d %H:%M:%S %Y %Z")) * 1000
    except ValueError:
        return None
