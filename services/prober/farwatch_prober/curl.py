"""One HTTP request or TLS handshake by libcurl, to addresses that were chosen and vetted before."""

import calendar
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pycurl

from farwatch_prober import classify
from farwatch_prober.outcome import endpoint

BODY_MAX_BYTES = 1024 * 1024
"""Read after decompression, so a small answer cannot unfold into a large one."""
SPARE_HANDLES = 512
USER_AGENT = "Farwatch/0.1"


@dataclass(frozen=True, slots=True)
class CurlRequest:
    """`addresses` are dialled in their order, IPv6 given a head start; nothing is resolved by libcurl.

    `handshake_only` ends after the TLS handshake. `keep_bytes` of the body are kept, the rest is counted.
    """

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]
    timeout_seconds: float
    method: str = "GET"
    headers: tuple[str, ...] = ()
    body: bytes | None = None
    verify_tls: bool = True
    is_tls: bool = False
    keep_bytes: int = BODY_MAX_BYTES
    handshake_only: bool = False


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
    request_seconds: float
    first_byte_seconds: float
    total_seconds: float
    certificate: CertificateFacts | None
    resolved_seconds: float = 0.0


class _Body:
    """Takes the body, keeps its beginning, and stops the transfer at the limit."""

    __slots__ = ("chunks", "keep", "size")

    def __init__(self, keep: int) -> None:
        self.chunks: list[bytes] = []
        self.keep = keep
        self.size = 0

    def write(self, chunk: bytes) -> int | None:
        if self.size < self.keep:
            self.chunks.append(chunk[: self.keep - self.size])
        self.size += len(chunk)
        return None if self.size <= BODY_MAX_BYTES else 0

    @property
    def is_cut(self) -> bool:
        return self.size > BODY_MAX_BYTES


class CurlEngine:
    """One long-lived multi handle: a new one for each check would read the authorities each time."""

    def __init__(self, authorities: Path | None, source_address: str | None = None) -> None:
        self._multi = pycurl.AsyncCurlMulti()
        self._authorities = str(authorities) if authorities else None
        self._source_address = source_address
        self._spare: list[tuple[pycurl.Curl, str]] = []
        self._numbers = count(1)
        self.in_flight = 0

    async def perform(self, request: CurlRequest) -> Transfer:
        handle, alias = self._spare.pop() if self._spare else (pycurl.Curl(), f"check-{next(self._numbers)}.invalid")
        headers: list[bytes] = []
        body = _Body(request.keep_bytes)
        self.in_flight += 1
        code, message = classify.OK, ""
        try:
            self._prepare(handle, alias, request, headers.append, body.write)
            await self._multi.add_handle(handle)  # cancelled, the multi lets go of it, and it is not used again
        except pycurl.error as error:
            code, message = error.args if len(error.args) == 2 else (2, str(error))
        finally:
            self.in_flight -= 1
        transfer = _read(handle, request, code, message, headers, body)
        self._give_back(handle, alias)
        return transfer

    def _prepare(
        self,
        handle: pycurl.Curl,
        alias: str,
        request: CurlRequest,
        on_header: Callable[[bytes], None],
        on_body: Callable[[bytes], int | None],
    ) -> None:
        handle.reset()
        for option, value in _FIXED:
            handle.setopt(option, value)
        handle.setopt(pycurl.URL, request.url)
        handle.setopt(pycurl.TIMEOUT_MS, max(1, int(request.timeout_seconds * 1000)))
        handle.setopt(pycurl.HEADERFUNCTION, on_header)
        handle.setopt(pycurl.WRITEFUNCTION, on_body)
        self._pin(handle, alias, request)
        if request.is_tls:
            self._prepare_tls(handle, request)
        if self._source_address:
            handle.setopt(pycurl.INTERFACE, f"host!{self._source_address}")
        if request.handshake_only:
            handle.setopt(pycurl.CONNECT_ONLY, 1)
        else:
            _prepare_method(handle, request)

    def _pin(self, handle: pycurl.Curl, alias: str, request: CurlRequest) -> None:
        """Whatever host libcurl reads in the URL, it connects to these addresses and no other.

        Several go through a name of this handle's own, so that libcurl tries them in turn (RFC 8305) and
        checks that run at the same time cannot change each other's addresses in its shared cache.
        """
        if len(request.addresses) == 1:
            handle.setopt(pycurl.CONNECT_TO, [f"::{endpoint(request.addresses[0], request.port)}"])
            return
        handle.setopt(pycurl.CONNECT_TO, [f"::{alias}:{request.port}"])
        handle.setopt(pycurl.RESOLVE, [f"{alias}:{request.port}:{','.join(request.addresses)}"])

    def _prepare_tls(self, handle: pycurl.Curl, request: CurlRequest) -> None:
        handle.setopt(pycurl.SSL_SESSIONID_CACHE, 0)
        handle.setopt(pycurl.OPT_CERTINFO, 1)
        if self._authorities:
            handle.setopt(pycurl.CAINFO, self._authorities)
        if not request.verify_tls:
            handle.setopt(pycurl.SSL_VERIFYPEER, 0)
            handle.setopt(pycurl.SSL_VERIFYHOST, 0)

    def _give_back(self, handle: pycurl.Curl, alias: str) -> None:
        if len(self._spare) < SPARE_HANDLES:
            self._spare.append((handle, alias))
        else:
            handle.close()

    async def close(self) -> None:
        await self._multi.aclose()
        for handle, _ in self._spare:
            handle.close()
        self._spare.clear()


_FIXED: tuple[tuple[int, int | str], ...] = (
    (pycurl.FRESH_CONNECT, 1),
    (pycurl.FORBID_REUSE, 1),
    (pycurl.DNS_CACHE_TIMEOUT, 0),
    (pycurl.PROXY, ""),
    (pycurl.NOSIGNAL, 1),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.USERAGENT, USER_AGENT),
    (pycurl.ACCEPT_ENCODING, "gzip, deflate, br" if "brotli" in pycurl.version else "gzip, deflate"),
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


def _read(
    handle: pycurl.Curl, request: CurlRequest, code: int, message: str, headers: list[bytes], body: _Body
) -> Transfer:
    info = handle.getinfo
    if code == classify.WRITE_ERROR and body.is_cut:
        code = classify.OK
    return Transfer(
        code=code,
        message=message,
        os_errno=info(pycurl.OS_ERRNO) if code else 0,
        status=info(pycurl.RESPONSE_CODE),
        headers=headers,
        body=b"".join(body.chunks),
        complete=not body.is_cut,
        address=info(pycurl.PRIMARY_IP),
        connect_seconds=info(pycurl.CONNECT_TIME),
        tls_seconds=info(pycurl.APPCONNECT_TIME) if request.is_tls else 0.0,
        request_seconds=info(pycurl.PRETRANSFER_TIME),
        first_byte_seconds=info(pycurl.STARTTRANSFER_TIME),
        total_seconds=info(pycurl.TOTAL_TIME),
        certificate=_certificate(handle) if request.is_tls else None,
        resolved_seconds=info(pycurl.NAMELOOKUP_TIME),
    )


def _certificate(handle: pycurl.Curl) -> CertificateFacts | None:
    """The leaf of the chain the server sent, None when the handshake did not come that far."""
    chain = handle.getinfo(pycurl.INFO_CERTINFO)
    if not chain or not chain[0]:
        return None
    fields = dict(chain[0])
    try:
        expires = time.strptime(fields["Expire date"], "%b %d %H:%M:%S %Y %Z")
    except (KeyError, ValueError):
        return None
    return CertificateFacts(calendar.timegm(expires) * 1000, fields.get("Subject", ""), fields.get("Issuer", ""))
