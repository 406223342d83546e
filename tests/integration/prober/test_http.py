import asyncio
import gzip
import time
from pathlib import Path

import pytest
import trustme

from farwatch_events.masking import MASK
from farwatch_prober.policy import AddressPolicy, parse_networks
from farwatch_runtime.secrets import SecretBox
from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import (
    DnsServer,
    Handler,
    answers,
    dated_context,
    full_backlog,
    is_ipv6_here,
    raw_server,
    refused_port,
    reset,
    tls_context,
)
from tests.support.http import HttpServer, Request, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_good_answer_has_phases_and_address(check: Check, http_target: HttpServer) -> None:
    result = await check(type="http", url=http_target.url, expected_text="ok")
    assert (result.outcome, result.error_class, result.status_code) == ("up", None, 200)
    assert (result.address, result.attempts, len(result.tries)) == ("127.0.0.1", 1, 1)
    phases = result.phases
    assert None not in (phases.dns_ms, phases.connect_ms, phases.wait_ms, phases.transfer_ms)
    assert phases.tls_ms is None
    summed = sum(value for value in phases.model_dump().values() if value is not None)
    assert result.latency_ms == pytest.approx(summed, abs=0.5)
    assert result.evidence is None


async def test_latency_runs_to_the_end_of_the_body_and_waiting_is_told_apart(check: Check) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await asyncio.sleep(0.3)
        writer.write(b"k")

    async with raw_server(slow) as port:
        result = await check(type="http", url=f"http://127.0.0.1:{port}/", degraded_ms=400)
    assert result.phases.wait_ms == pytest.approx(200, abs=80)
    assert result.phases.transfer_ms == pytest.approx(300, abs=80)
    assert result.latency_ms == pytest.approx(500, abs=120)
    assert result.outcome == "degraded"
    assert result.reasons[0].startswith("Slow: took ")


CASES: dict[str, tuple[Handler, str, str]] = {
    "silence": (answers(then="hang"), "timeout", "Connected to {at}, but no answer within 1 s"),
    "stall after headers": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", then="hang"),
        "timeout", "The answer began but was not complete within 1 s",
    ),
    "drip": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b"x"] * 50, pause_seconds=0.1),
        "timeout", "The answer began but was not complete within 1 s",
    ),
    "close": (answers(), "protocol", "{at} closed the connection without answering"),
    "reset": (answers(then="reset"), "protocol", "{at} reset the connection before answering"),
    "truncated": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
        "protocol", "The answer broke off before its end",
    ),
    "reset in the body": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", pause_seconds=0.1, then="reset"),
        "protocol", "{at} reset the connection in the middle of its answer",
    ),
    "broken chunks": (
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n"),
        "protocol", "The answer's chunked encoding is broken",
    ),
    "bad content-length": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok"),
        "protocol", "The Content-Length of the answer makes no sense",
    ),
    "not http": (answers(b"220 mail.test ESMTP\r\n"), "protocol", "What answered does not speak HTTP"),
    "huge headers": (
        answers(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: %s\r\n" % (b"y" * 8000) * 60 + b"\r\n"),
        "protocol", "The headers of the answer are too large",
    ),
    "not gzip": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"),
        "protocol", "The answer's content encoding is broken or unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_servers_that_break_the_exchange(check: Check, case: str) -> None:
    handler, error_class, sentence = CASES[case]
    async with raw_server(handler) as port:
        result = await check(type="http", url=f"http://127.0.0.1:{port}/", timeout_seconds=1)
    assert (result.outcome, result.error_class) == ("down", error_class)
    assert str(result.error).startswith(sentence.format(at=f"127.0.0.1:{port}"))
    assert result.address == "127.0.0.1"


async def test_refused(check: Check) -> None:
    port = refused_port()
    result = await check(type="http", url=f"http://127.0.0.1:{port}/")
    assert (result.error_class, result.error) == ("connect_refused", f"Connection refused by 127.0.0.1:{port}")


async def test_no_answer_to_the_connection_attempt(check: Check) -> None:
    async with full_backlog() as port:
        result = await check(type="http", url=f"http://127.0.0.1:{port}/", timeout_seconds=1)
    assert (result.error_class, result.error) == ("connect_timeout", f"No connection to 127.0.0.1:{port} within 1 s")


async def test_a_wrong_status_keeps_evidence_without_secrets(
    check: Check, http_target: HttpServer, box: SecretBox
) -> None:
    def echo(request: Request) -> Response:
        text = f"who is {request.headers['authorization']} with {request.headers['x-api-key']}?"
        return Response(503, text.encode(), {"Set-Cookie": "sid=1", "Retry-After": "5"})

    http_target.responder = echo
    result = await check(
        type="http", url=http_target.url, auth={"type": "bearer", "token": box.encrypt("plain-token-1")},
        headers={"X-Api-Key": box.encrypt("plain-key-2")},
    )  # fmt: skip
    assert (result.error_class, result.status_code) == ("status", 503)
    assert result.error == "Answered 503 Service Unavailable; expected 200-299"
    assert result.evidence is not None
    assert result.evidence.body == f"who is Bearer {MASK} with {MASK}?"
    assert result.evidence.headers["Set-Cookie"] == MASK
    assert result.evidence.headers["Retry-After"] == "5"
    assert "plain-" not in result.model_dump_json()
    assert http_target.requests[0].headers["authorization"] == "Bearer plain-token-1"


async def test_secrets_that_no_key_opens_are_our_fault(check: Check, http_target: HttpServer) -> None:
    other = SecretBox.from_keys(["A" * 43 + "="])
    result = await check(
        type="http", url=http_target.url, auth={"type": "bearer", "token": other.encrypt("plain-token-1")}
    )
    assert (result.outcome, result.error_class) == ("unknown", "internal")
    assert "cannot be read" in str(result.error)
    assert http_target.requests == []


async def test_texts(check: Check, http_target: HttpServer) -> None:
    http_target.response = Response(
        body="Grüße".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}
    )
    assert (await check(type="http", url=http_target.url, expected_text="Grüße")).outcome == "up"
    result = await check(type="http", url=http_target.url, forbidden_text="üße")
    assert (result.error_class, result.error) == ("content", 'The answer contains "üße"')


async def test_what_is_sent(check: Check, http_target: HttpServer) -> None:
    await check(
        type="http", url=http_target.url + "a%20b?c=d#e", method="POST", body='{"a": 1}', headers={"X-Empty": ""}
    )
    sent = http_target.requests[0]
    assert (sent.method, sent.path, sent.body) == ("POST", "/a%20b?c=d", b'{"a": 1}')
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["x-empty"] == ""
    assert sent.headers["user-agent"].startswith("Farwatch/")
    assert "expect" not in sent.headers
    await check(type="http", url=http_target.url, method="HEAD")
    await check(type="http", url=http_target.url, auth={"type": "basic", "username": "a", "password": "b"})
    assert http_target.requests[1].method == "HEAD"
    assert http_target.requests[2].headers["authorization"] == "Basic YTpi"


async def test_each_check_opens_its_own_connection(check: Check, http_target: HttpServer) -> None:
    for _ in range(3):
        assert (await check(type="http", url=http_target.url)).outcome == "up"
    assert http_target.connections == 3


@pytest.mark.parametrize("bomb", ["gzip", "endless"])
async def test_bodies_without_end_are_read_up_to_a_limit(check: Check, bomb: str) -> None:
    sent = 0
    gzip_bomb = gzip.compress(b"\0" * 200_000_000, 1) if bomb == "gzip" else b""

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        encoding = b"Content-Encoding: gzip\r\n" if bomb == "gzip" else b""
        writer.write(b"HTTP/1.1 200 OK\r\n" + encoding + b"\r\n")
        part = gzip_bomb if bomb == "gzip" else b"x" * 65536
        for start in range(0, len(part) if bomb == "gzip" else 1 << 40, 65536):
            writer.write(part[start : start + 65536] if bomb == "gzip" else part)
            await writer.drain()
            sent += 65536

    async with raw_server(flood) as port:
        result = await check(type="http", url=f"http://127.0.0.1:{port}/", expected_text="needle")
    assert result.error_class == "content"
    assert result.error == '"needle" is missing from the first 1 MiB of the answer'
    assert sent < 60_000_000


async def test_redirects_are_followed_and_summed(check: Check, http_target: HttpServer) -> None:
    http_target.script = [Response(302, headers={"Location": f"/{n}"}, delay_seconds=0.1) for n in (1, 2)]
    result = await check(type="http", url=http_target.url)
    assert result.outcome == "up"
    assert [request.path for request in http_target.requests] == ["/", "/1", "/2"]
    assert result.phases.wait_ms == pytest.approx(200, abs=80)


async def test_redirects_have_a_limit_and_circles_are_named(check: Check, http_target: HttpServer) -> None:
    http_target.responder = lambda request: Response(301, headers={"Location": request.path + "x"})
    result = await check(type="http", url=http_target.url, max_redirects=3)
    assert result.error_class == "redirect"
    assert str(result.error).startswith("More than 3 redirects; the last answer came from http://127.0.0.1:")
    assert len(http_target.requests) == 4
    assert result.evidence is not None
    assert len(result.evidence.notes) == 3
    http_target.responder = lambda _: Response(301, headers={"Location": "/a"})
    result = await check(type="http", url=http_target.url)
    assert str(result.error).startswith("The redirects go round in circles, back to ")


async def test_redirects_not_followed_are_answers(check: Check, http_target: HttpServer) -> None:
    http_target.response = Response(302, headers={"Location": "/x"})
    result = await check(type="http", url=http_target.url, follow_redirects=False, expected_status=["302"])
    assert (result.outcome, result.status_code, len(http_target.requests)) == ("up", 302, 1)


async def test_redirects_to_other_schemes_are_refused(check: Check, http_target: HttpServer) -> None:
    http_target.response = Response(302, headers={"Location": "file:///etc/passwd"})
    result = await check(type="http", url=http_target.url)
    assert (result.error_class, result.status_code) == ("redirect", 302)


async def test_credentials_do_not_follow_to_another_host(
    check: Check, http_target: HttpServer, http_sink: HttpServer
) -> None:
    http_target.response = Response(302, headers={"Location": f"http://bad.test:{http_sink.port}/"})
    auth = {"type": "bearer", "token": "plain-token-1"}
    result = await check(type="http", url=f"http://good.test:{http_target.port}/", auth=auth, headers={"X-Plain": "1"})
    assert result.outcome == "up"
    assert http_target.requests[0].headers["authorization"] == "Bearer plain-token-1"
    assert "authorization" not in http_sink.requests[0].headers
    assert http_sink.requests[0].headers["x-plain"] == "1"


async def test_the_deadline_holds_over_all_hops(check: Check, http_target: HttpServer) -> None:
    http_target.responder = lambda request: Response(302, headers={"Location": request.path + "x"}, delay_seconds=0.4)
    started = time.monotonic()
    result = await check(type="http", url=http_target.url, timeout_seconds=1)
    assert time.monotonic() - started < 1.4
    assert result.error_class == "timeout"


async def test_a_retry_saves_the_check_and_tells_of_the_first_try(check: Check, http_target: HttpServer) -> None:
    http_target.script = [Response(500, b"first")]
    result = await check(type="http", url=http_target.url, retries=2, retry_interval_seconds=1)
    assert (result.outcome, result.attempts, result.error_class) == ("up", 2, None)
    assert [one.error_class for one in result.tries] == ["status", None]
    assert result.tries[1].started_ms - result.tries[0].started_ms >= 1000
    assert result.evidence is not None
    assert result.evidence.body == "first"


async def test_no_try_starts_when_the_next_slot_is_due(check: Check, http_target: HttpServer) -> None:
    http_target.response = Response(500)
    result = await check(
        type="http", url=http_target.url, retries=5, retry_interval_seconds=2, interval_seconds=5, late_ms=3500
    )
    assert (result.outcome, result.attempts) == ("down", 1)


async def test_a_slot_older_than_its_interval_is_skipped(check: Check, http_target: HttpServer) -> None:
    result = await check(type="http", url=http_target.url, interval_seconds=5, late_ms=5100)
    assert (result.outcome, result.error_class, result.attempts) == ("unknown", "skipped", 0)
    assert http_target.requests == []


class TestTls:
    async def test_a_good_certificate(self, check: Check, ca: trustme.CA) -> None:
        async with raw_server(answers(OK), tls=tls_context(ca, "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
            again = await check(type="http", url=f"https://good.test:{port}/")
        assert result.outcome == again.outcome == "up"
        assert result.phases.tls_ms is not None
        assert result.certificate is not None
        assert again.certificate is not None  # also when the server would have resumed the session
        assert "trustme" in result.certificate.issuer

    @pytest.mark.parametrize(
        ("from_days", "to_days", "name", "signed", "sentence"),
        [
            (-30, -1, "good.test", True, "The certificate has expired"),
            (1, 30, "good.test", True, "The certificate is not valid yet"),
            (-1, 30, "good.test", False, "The certificate is self-signed"),
            (-1, 30, "other.test", True, "The certificate is not made out to good.test"),
        ],
    )
    async def test_bad_certificates(
        self, check: Check, ca: trustme.CA, tmp_path: Path, from_days: int, to_days: int, name: str, signed: bool,
        sentence: str,
    ) -> None:  # fmt: skip
        context = dated_context(ca if signed else None, name, from_days, to_days, tmp_path)
        async with raw_server(answers(OK), tls=context) as port:
            url = f"https://good.test:{port}/"
            result = await check(type="http", url=url)
            trusting = await check(type="http", url=url, verify_tls=False, certificate_warning_days=0)
        assert (result.error_class, result.error) == ("tls", sentence)
        assert result.certificate is not None
        assert result.certificate.days == to_days
        assert trusting.outcome == "up"

    async def test_an_unknown_authority(self, check: Check) -> None:
        async with raw_server(answers(OK), tls=tls_context(trustme.CA(), "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
        assert result.error_class == "tls"
        assert "not signed by a trusted authority" in str(result.error)

    async def test_near_its_end(self, check: Check, ca: trustme.CA, tmp_path: Path) -> None:
        async with raw_server(answers(OK), tls=dated_context(ca, "good.test", -1, 5, tmp_path)) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
        assert (result.outcome, result.reasons) == ("degraded", ["The certificate expires in 5 days"])

    @pytest.mark.parametrize("how", ["silence", "close", "reset", "plain"])
    async def test_handshakes_that_fail(self, check: Check, how: str) -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            match how:
                case "silence":
                    await asyncio.sleep(3600)
                case "reset":
                    reset(writer)
                case "plain":
                    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    await asyncio.sleep(0.2)

        async with raw_server(handler) as port:
            result = await check(type="http", url=f"https://good.test:{port}/", timeout_seconds=1)
        at = f"127.0.0.1:{port}"
        assert (result.error_class, result.error) == {
            "silence": ("timeout", "TLS handshake timed out after 1 s"),
            "close": ("tls", f"{at} closed the connection during the TLS handshake"),
            "reset": ("tls", f"{at} reset the connection during the TLS handshake"),
            "plain": ("tls", "What answered does not speak TLS"),
        }[how]


class TestAddresses:
    async def test_names_are_asked_anew_each_time(
        self, check: Check, http_target: HttpServer, name_server: DnsServer
    ) -> None:
        name_server.records = {"www.test A": ["127.0.0.1"], "www.test AAAA": []}
        url = f"http://www.test:{http_target.port}/"
        assert (await check(type="http", url=url)).outcome == "up"
        assert (await check(type="http", url=url)).phases.dns_ms is not None
        assert name_server.asked.count("www.test A") == 2
        name_server.records = {}
        result = await check(type="http", url=url)
        assert (result.error_class, result.error) == ("dns", "The name www.test does not exist")

    @pytest.mark.skipif(not is_ipv6_here(), reason="no IPv6 on this machine")
    async def test_a_dead_ipv6_does_not_hide_a_live_ipv4(
        self, check: Check, http_target: HttpServer, name_server: DnsServer
    ) -> None:
        name_server.records = {"www.test A": ["127.0.0.1"], "www.test AAAA": ["::1"]}
        result = await check(type="http", url=f"http://www.test:{http_target.port}/")
        assert (result.outcome, result.address) == ("up", "127.0.0.1")
        result = await check(type="http", url=f"http://www.test:{http_target.port}/", ip_family="ipv6")
        assert result.error_class == "connect_refused"

    async def test_checks_at_the_same_time_do_not_mix_up_addresses(
        self, check: Check, http_target: HttpServer, name_server: DnsServer
    ) -> None:
        name_server.records = {"www.test A": ["127.0.0.1", "127.0.0.2"], "www.test AAAA": []}
        results = await asyncio.gather(
            *(check(type="http", url=f"http://www.test:{http_target.port}/") for _ in range(50))
        )
        assert {result.outcome for result in results} == {"up"}
        assert {result.address for result in results} == {"127.0.0.1"}

    async def test_a_metadata_address_is_blocked_and_never_dialled(
        self, check: Check, http_target: HttpServer, name_server: DnsServer
    ) -> None:
        name_server.records = {"www.test A": ["169.254.169.254"], "www.test AAAA": []}
        for url in ("http://169.254.169.254/", "http://[::ffff:a9fe:a9fe]/", "http://www.test/", "http://0xa9fea9fe/"):
            result = await check(type="http", url=url)
            assert (result.outcome, result.error_class) == ("unknown", "blocked")
            assert "never probed" in str(result.error)
        http_target.response = Response(302, headers={"Location": "http://169.254.169.254/latest"})
        result = await check(type="http", url=http_target.url)
        assert (result.outcome, result.error_class) == ("unknown", "blocked")

    class TestClosed:
        @pytest.fixture
        def policy(self) -> AddressPolicy:
            return AddressPolicy(deny=parse_networks(["loopback"]), allow=parse_networks(["127.0.0.1"]))

        async def test_only_allowed_addresses_of_a_name_are_dialled(
            self, check: Check, http_target: HttpServer, name_server: DnsServer
        ) -> None:
            name_server.records = {"www.test A": ["127.0.0.3", "127.0.0.1"], "www.test AAAA": ["::1"]}
            result = await check(type="http", url=f"http://www.test:{http_target.port}/")
            assert (result.outcome, result.address) == ("up", "127.0.0.1")
            result = await check(type="http", url=f"http://127.0.0.2:{http_target.port}/")
            assert result.error == "Not probed: 127.0.0.2 is in 127.0.0.0/8, which FARWATCH_PROBE_DENY closes"
            result = await check(type="http", url=f"http://localhost:{http_target.port}/", ip_family="ipv6")
            assert result.error_class == "blocked"
