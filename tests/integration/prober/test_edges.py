"""The edges of HTTP, TLS and names: each a real server that misbehaves so, and the sentence that says which it was."""

import asyncio
import datetime as dt
import gzip
import ssl
import warnings
import zlib
from pathlib import Path
from typing import ClassVar

import dns.rcode
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.integration.prober import http2
from tests.integration.prober.bombs import bomb
from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import (
    DnsServer,
    Handler,
    alerting_server,
    answers,
    full_backlog,
    is_ipv6_here,
    raw_server,
    tls_context,
)
from tests.support.http import HttpServer, Request, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TestAnswers:
    GOOD: ClassVar[dict[str, Handler]] = {
        "early hints": answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", OK, pause_seconds=0.01),
        "continue nobody asked for": answers(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK),
        "more than Content-Length": answers(OK + b" and more", then="hang"),
        "no length, closed": answers(b"HTTP/1.1 200 OK\r\n\r\nok"),
        "HTTP/1.0": answers(b"HTTP/1.0 200 OK\r\n\r\nok"),
        "no reason phrase": answers(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"),
        "bare line feeds": answers(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        "folded header": answers(b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
        "chunks with trailers": answers(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n"
        ),
        "one byte at a time": answers(*[bytes((byte,)) for byte in OK], pause_seconds=0.001),
    }

    @pytest.mark.parametrize("case", GOOD)
    async def test_odd_but_good(self, check: Check, case: str) -> None:
        async with raw_server(self.GOOD[case]) as port:
            result = await check(type="http", url=f"http://127.0.0.1:{port}/", expected_text="ok")
        assert (result.outcome, result.error) == ("up", None)

    BAD: ClassVar[dict[str, tuple[Handler, str, str]]] = {
        "only interim answers": (
            answers(b"HTTP/1.1 100 Continue\r\n\r\n"), "protocol", "{at} closed the connection",
        ),
        "interim answers, then silence": (
            answers(b"HTTP/1.1 102 Processing\r\n\r\n", then="hang"), "timeout", "",
        ),
        "headers that break off": (
            answers(b"HTTP/1.1 200 OK\r\nServer: a\r\nConte"), "protocol", "The answer broke off before its end",
        ),
        "a status line that breaks off": (answers(b"HTTP/1.1 2"), "protocol", ""),
        "chunks that break off": (
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
            "protocol", "The answer broke off before its end",
        ),
        "two lengths that differ": (
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok"), "protocol", "",
        ),
        "headers without end": (
            answers(b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"b" * 1000 + b"\r\n"] * 500),
            "protocol", "The headers of the answer are too large",
        ),
        "one header without end": (
            answers(b"HTTP/1.1 200 OK\r\nX-A: ", *[b"b" * 10_000] * 50),
            "protocol", "The headers of the answer are too large",
        ),
        "broken brotli": (
            answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\n\xff\xff\xff\xff\xff"),
            "protocol", "The answer's content encoding is broken or unknown",
        ),
        "an empty page": (
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "content", '"ok" is missing from the answer',
        ),
        "no content": (answers(b"HTTP/1.1 204 No Content\r\n\r\n"), "content", '"ok" is missing from the answer'),
        "an error page that says 200": (
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nok: Fatal PHP error"),
            "content", 'The answer contains "Fatal"',
        ),
        "a status of its own": (answers(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), "status", "Answered 999"),
        "a redirect to nowhere": (
            answers(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "status", "Answered 302 Found",
        ),
    }  # fmt: skip

    @pytest.mark.parametrize("case", BAD)
    async def test_bad(self, check: Check, case: str) -> None:
        handler, error_class, sentence = self.BAD[case]
        async with raw_server(handler) as port:
            result = await check(
                type="http", url=f"http://127.0.0.1:{port}/", timeout_seconds=1, expected_text="ok",
                forbidden_text="Fatal",
            )  # fmt: skip
        assert (result.outcome, result.error_class) == ("down", error_class), result.error
        assert str(result.error).startswith(sentence.format(at=f"127.0.0.1:{port}")), result.error

    @pytest.mark.parametrize(
        ("encoding", "outcome", "error"),
        [("gzip", "up", None), ("br", "down", "The answer's content encoding is broken or unknown")],
    )
    async def test_bombs_are_defused(self, check: Check, encoding: str, outcome: str, error: str | None) -> None:
        """Brotli is never asked for, and refused from a server that sends it all the same."""
        body = bomb(encoding)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        async with raw_server(answers(head + body, then="hang")) as port:
            result = await check(type="http", url=f"http://127.0.0.1:{port}/", forbidden_text="x", timeout_seconds=5)
        assert (result.outcome, result.error) == (outcome, error)

    @pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate", "identity", "GZIP"])
    async def test_compressed_pages_are_read(self, check: Check, encoding: str) -> None:
        text = b"needle in " + b"hay " * 5000
        raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = {
            "deflate": zlib.compress(text), "raw deflate": raw.compress(text) + raw.flush(), "identity": text,
        }.get(encoding, gzip.compress(text))  # fmt: skip
        name = encoding.removeprefix("raw ")
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        async with raw_server(answers(head + body[:20], body[20:], pause_seconds=0.01)) as port:
            result = await check(type="http", url=f"http://127.0.0.1:{port}/", expected_text="needle in hay hay")
        assert (result.outcome, result.error) == ("up", None)

    @pytest.mark.parametrize(
        ("head", "get", "outcomes"),
        [
            (Response(200), Response(503), ("up", "status")),
            (Response(405), Response(200), ("status", "up")),
            (Response(200), Response(302, headers={"Location": "/"}), ("up", "redirect")),
            (Response(200), Response(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), ("up", "protocol")),
            (Response(200), Response(delay_seconds=5), ("up", "timeout")),
        ],
        ids=["GET 503", "HEAD 405", "GET loops", "GET partial", "GET hangs"],
    )
    async def test_head_and_get_may_differ(
        self, check: Check, http_target: HttpServer, head: Response, get: Response, outcomes: tuple[str, str]
    ) -> None:
        def answer(request: Request) -> Response:
            return head if request.method == "HEAD" else get

        http_target.responder = answer
        results = await asyncio.gather(
            *(check(type="http", url=http_target.url, method=method, timeout_seconds=1) for method in ("HEAD", "GET"))
        )
        assert tuple(result.error_class or result.outcome for result in results) == outcomes


class TestHttp2:
    CASES: ClassVar[dict[str, tuple[bytes, str | None, str | None]]] = {
        "good": (http2.answer(1, b"ok"), None, None),
        "goaway before the answer": (http2.goaway(0), "protocol", ""),
        "goaway, calm down": (http2.goaway(0, http2.ENHANCE_YOUR_CALM), "protocol", ""),
        "goaway after the stream": (http2.goaway(1) + http2.answer(1, b"ok"), None, None),
        "refused stream": (http2.reset_stream(1, http2.REFUSED_STREAM), "protocol", ""),
        "internal error": (http2.reset_stream(1, http2.INTERNAL_ERROR), "protocol", "HTTP/2 failed"),
        "no frame at all": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol", ""),
    }  # fmt: skip

    @pytest.mark.parametrize("case", CASES)
    async def test_http2(self, check: Check, ca: trustme.CA, case: str) -> None:
        frames, error_class, sentence = self.CASES[case]
        async with raw_server(http2.answers_h2(frames), tls=http2.h2_context(ca, "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
        assert result.error_class == error_class, result.error
        assert str(result.error or "").startswith(sentence or "")


def issued(ca: trustme.CA, folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    """Key and certificate for good.test."""
    now = dt.datetime.now(dt.UTC)
    signer = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.test")]))
        .issuer_name(x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.test")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    path = folder / "issued.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def lenient_context() -> ssl.SSLContext:
    """A server that still does what no client should take."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class TestTls:
    async def sentence(self, check: Check, context: ssl.SSLContext) -> str:
        with alerting_server(context) as port:
            results = await asyncio.gather(
                check(type="http", url=f"https://good.test:{port}/"), check(type="tls", host="good.test", port=port)
            )
        assert {(result.outcome, result.error_class) for result in results} == {("down", "tls")}, results
        assert results[0].error == results[1].error
        return str(results[0].error)

    async def test_only_old_versions(self, check: Check, ca: trustme.CA) -> None:
        context = lenient_context()
        ca.issue_cert("good.test").configure_cert(context)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert "TLS versions" in await self.sentence(check, context)

    async def test_no_cipher_in_common(self, check: Check, ca: trustme.CA) -> None:
        context = tls_context(ca, "good.test")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the certificate's key is of another kind
        assert "no cipher in common" in await self.sentence(check, context)

    async def test_a_missing_intermediate(self, check: Check, ca: trustme.CA, tmp_path: Path) -> None:
        leaf = ca.create_child_ca().issue_cert("good.test")
        alone, whole = tmp_path / "alone.pem", tmp_path / "whole.pem"
        alone.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
        whole.write_bytes(leaf.private_key_pem.bytes() + b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(alone)
        assert "the server does not send the intermediate one" in await self.sentence(check, context)
        complete = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        complete.load_cert_chain(whole)
        async with raw_server(answers(OK), tls=complete) as port:
            assert (await check(type="http", url=f"https://good.test:{port}/")).outcome == "up"

    async def test_a_weak_key(self, check: Check, ca: trustme.CA, tmp_path: Path) -> None:
        context = lenient_context()
        context.load_cert_chain(issued(ca, tmp_path, rsa.generate_private_key(65537, 1024)))
        assert "too small" in await self.sentence(check, context) or "too weak" in await self.sentence(check, context)

    async def test_a_name_that_the_server_does_not_know(self, check: Check, ca: trustme.CA) -> None:
        context = tls_context(ca, "good.test")
        context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        assert "does not know this host name" in await self.sentence(check, context)

    async def test_another_certificate_for_this_name(self, check: Check, ca: trustme.CA) -> None:
        assert await self.sentence(check, tls_context(ca, "other.test")) == (
            "The certificate is not made out to good.test"
        )

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_a_client_certificate_is_asked_for(
        self, check: Check, ca: trustme.CA, version: ssl.TLSVersion
    ) -> None:
        context = tls_context(ca, "good.test")
        context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(context)
        with alerting_server(context) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
        assert (result.outcome, result.error_class) == ("down", "tls"), result.error
        assert "client certificate" in str(result.error)


class TestNames:
    async def error(self, check: Check, host: str, **fields: object) -> tuple[str | None, str]:
        result = await check(type="http", url=f"http://{host}/", **{"timeout_seconds": 1} | fields)
        assert result.outcome == "down"
        return result.error_class, str(result.error)

    async def test_each_failure_has_its_sentence(self, check: Check, name_server: DnsServer) -> None:
        at = f"127.0.0.1:{name_server.port}"
        for kind in ("A", "AAAA"):
            name_server.records |= {
                f"servfail.test {kind}": dns.rcode.SERVFAIL, f"refused.test {kind}": dns.rcode.REFUSED,
                f"mute.test {kind}": None, f"empty.test {kind}": [],
                f"nowhere.test {kind}": ["nowhere.test. CNAME gone.test."],
                f"loop.test {kind}": ["loop.test. CNAME pool.test.", "pool.test. CNAME loop.test."],
                f"self.test {kind}": ["self.test. CNAME self.test."],
            }  # fmt: skip
        expected = {
            "gone.test": "The name gone.test does not exist",
            "servfail.test": f"servfail.test could not be looked up: {at} answered SERVFAIL",
            "refused.test": f"refused.test could not be looked up: {at} answered REFUSED",
            "mute.test": "No name server answered for mute.test within",
            "empty.test": "empty.test has no IP address",
            "nowhere.test": "nowhere.test is an alias for gone.test, which has no IP address",
            "loop.test": "loop.test has aliases that go round in circles",
            "self.test": "self.test has aliases that go round in circles",
        }
        found = await asyncio.gather(*(self.error(check, host) for host in expected))
        for (error_class, error), sentence in zip(found, expected.values(), strict=True):
            assert error_class == "dns"
            assert error.startswith(sentence)

    async def test_an_alias_for_a_name_that_does_not_exist(self, check: Check, name_server: DnsServer) -> None:
        name_server.records = {f"www.test {kind}": ["www.test. CNAME gone.test."] for kind in ("A", "AAAA")}
        name_server.rcodes = {f"www.test {kind}": dns.rcode.NXDOMAIN for kind in ("A", "AAAA")}
        assert await self.error(check, "www.test") == (
            "dns", "www.test is an alias for gone.test, which does not exist",
        )  # fmt: skip

    async def test_a_slow_answer_is_waited_for_and_counted(
        self, check: Check, name_server: DnsServer, http_target: HttpServer
    ) -> None:
        name_server.records = {"www.test A": ["127.0.0.1"], "www.test AAAA": []}
        name_server.delay_seconds = 0.4
        result = await check(type="http", url=f"http://www.test:{http_target.port}/")
        assert result.outcome == "up"
        assert result.phases.dns_ms is not None
        assert result.phases.dns_ms >= 400
        assert result.latency_ms is not None
        assert result.latency_ms >= result.phases.dns_ms

    async def test_international_names(self, check: Check, name_server: DnsServer, http_target: HttpServer) -> None:
        name_server.records = {"xn--bcher-kva.test A": ["127.0.0.1"], "xn--bcher-kva.test AAAA": []}
        for host in ("bücher.test", "BÜCHER.test", "xn--bcher-kva.test", "bücher。test", "bu\u0308cher.test."):
            result = await check(type="http", url=f"http://{host}:{http_target.port}/ä?ö=ü")
            assert (result.outcome, result.error) == ("up", None), host
        assert {request.path for request in http_target.requests} == {"/%C3%A4?%C3%B6=%C3%BC"}
        assert {request.headers["host"].rstrip(".") for request in http_target.requests} <= {
            f"xn--bcher-kva.test:{http_target.port}", f"xn--bcher-kva.test.:{http_target.port}",
        }  # fmt: skip

    @pytest.mark.skipif(not is_ipv6_here(), reason="no IPv6 on this machine")
    async def test_ipv6(self, check: Check, name_server: DnsServer) -> None:
        server = HttpServer(host="::1")
        await server.start()
        name_server.records = {"six.test AAAA": ["::1"], "six.test A": []}
        try:
            for host in ("[::1]", "six.test", "[0:0::1]"):
                result = await check(type="http", url=f"http://{host}:{server.port}/")
                assert (result.outcome, result.address) == ("up", "::1")
            result = await check(type="http", url=f"http://six.test:{server.port}/", ip_family="ipv4")
            assert (result.error_class, result.error) == ("dns", "six.test has no IPv4 address")
        finally:
            await server.stop()

    async def test_a_first_address_that_is_dead_costs_a_moment(
        self, check: Check, name_server: DnsServer, http_target: HttpServer
    ) -> None:
        """One that nobody answers, and a live one after it."""
        name_server.records = {"www.test AAAA": ["2001:db8::1"], "www.test A": ["127.0.0.1"]}
        result = await check(type="http", url=f"http://www.test:{http_target.port}/", timeout_seconds=3)
        assert (result.outcome, result.address) == ("up", "127.0.0.1")
        assert result.latency_ms is not None
        assert result.latency_ms < 1500

    async def test_no_answer_to_syn_names_the_address(self, check: Check, name_server: DnsServer) -> None:
        name_server.records = {"www.test A": ["127.0.0.1"], "www.test AAAA": []}
        async with full_backlog() as port:
            result = await check(type="http", url=f"http://www.test:{port}/", timeout_seconds=1)
        assert (result.error_class, result.address) == ("connect_timeout", "127.0.0.1")
