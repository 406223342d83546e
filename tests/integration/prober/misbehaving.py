"""Local servers that do the wrong thing on purpose, and a name server with a script."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(
    handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Runs `handler` for each connection and yields the port."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await handler(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answers(*parts: bytes, pause_seconds: float = 0.0, then: str = "close") -> Handler:
    """Reads a request head, then writes the parts with pauses; then `close`, `hang` or `reset`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_seconds)
        await end(writer, then)

    return handler


async def end(writer: asyncio.StreamWriter, how: str) -> None:
    if how == "hang":
        await asyncio.sleep(3600)
    if how == "reset":
        reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def refused_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port that answers no SYN: its queue of connections is full and nobody accepts."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    await asyncio.sleep(0.05)
    try:
        yield port
    finally:
        for sock in (*fillers, listener):
            sock.close()


def _handshake_and_answer(connection: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secured:
        secured.recv(4096)
        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@contextmanager
def alerting_server(context: ssl.SSLContext) -> Iterator[int]:
    """Handshakes in a thread, since a blocking socket sends the alert of one that fails; then answers with 200."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            with suppress(OSError), connection.dup() as below:
                _handshake_and_answer(connection, context)
                below.shutdown(socket.SHUT_WR)
                while below.recv(4096):  # closing with something unread would reset the connection, alert and all
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def tls_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def dated_context(ca: trustme.CA | None, name: str, from_days: int, to_days: int, folder: Path) -> ssl.SSLContext:
    """A certificate valid from and to so many days from now; without a CA it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    issuer, signer = subject, key
    if ca is not None:
        issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
        loaded = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=from_days))
        .not_valid_after(now + dt.timedelta(days=to_days, minutes=5))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    path = folder / f"{name}-{from_days}-{to_days}-{ca is None}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@dataclass
class DnsServer(asyncio.DatagramProtocol):
    """Answers from `records` ("name TYPE" to texts, an rcode, None for silence); NXDOMAIN for any other name.

    A text is a value, or a whole record ("edge.test. A 10.0.0.1") with an owner that ends in a dot.

    `delay_seconds` holds back every answer. `asked` are the questions received, `askers` the UDP ports they came from.
    """

    records: dict[str, list[str] | dns.rcode.Rcode | None] = field(default_factory=dict)
    delay_seconds: float = 0.0
    silent: bool = False
    only_by_tcp: bool = False
    asked: list[str] = field(default_factory=list)
    askers: set[int] = field(default_factory=set)
    answer: Callable[[str], list[str] | None] | None = None
    """Asked first with the question; None leaves it to `records`."""
    rcodes: dict[str, dns.rcode.Rcode] = field(default_factory=dict)
    """Given beside the records."""
    port: int = 0
    host: str = "127.0.0.1"
    _transport: asyncio.DatagramTransport | None = None
    _tcp: asyncio.Server | None = None

    async def start(self) -> None:
        """Takes a port that is free for UDP and for TCP."""
        loop = asyncio.get_running_loop()
        while self._tcp is None:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
            self.port = self._transport.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._serve_tcp, self.host, self.port)
            except OSError:
                self._transport.close()

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._tcp is not None:
            self._tcp.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.askers.add(addr[1])
        wire = self._answer(data, by_tcp=False)
        if wire is not None and self._transport is not None:
            asyncio.get_running_loop().call_later(self.delay_seconds, self._send, wire, addr)

    def _send(self, wire: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(wire, addr)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        wire = self._answer(await reader.readexactly(length), by_tcp=True)
        if wire is not None:
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
        writer.close()

    def _answer(self, data: bytes, *, by_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}{' tcp' if by_tcp else ''}")
        found = self.records.get(f"{name} {kind}", [])
        if self.answer is not None:
            found = self.answer(f"{name} {kind}") or found
        if self.silent or found is None:
            return None
        answer = dns.message.make_response(query)
        if self.only_by_tcp and not by_tcp:
            answer.flags |= dns.flags.TC
        elif isinstance(found, dns.rcode.Rcode):
            answer.set_rcode(found)
        elif found:
            for text in found:
                first, _, rest = text.partition(" ")
                is_whole = bool(rest) and first.endswith(".")
                record_type, _, value = rest.partition(" ") if is_whole else (kind, "", text)
                owner = first if is_whole else f"{name}."
                answer.answer.append(dns.rrset.from_text(owner, 300, "IN", record_type, value))
        elif not any(key.startswith(f"{name} ") for key in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if (rcode := self.rcodes.get(f"{name} {kind}")) is not None:
            answer.set_rcode(rcode)
        return answer.to_wire()


def is_ipv6_here() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind((str(ipaddress.IPv6Address("::1")), 0))
    except OSError:
        return False
    return True
