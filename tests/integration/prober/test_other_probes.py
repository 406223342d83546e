"""port, dns, tls and ping against local servers."""

import asyncio
import ssl
from pathlib import Path

import dns.rcode
import pytest
import trustme

from farwatch_prober.icmp import MEND
from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import (
    DnsServer,
    answers,
    dated_context,
    full_backlog,
    is_ipv6_here,
    raw_server,
    refused_port,
    tls_context,
)


class TestPort:
    async def test_open(self, check: Check) -> None:
        async with raw_server(answers()) as port:
            result = await check(type="port", host="good.test", port=port)
        assert (result.outcome, result.address) == ("up", "127.0.0.1")
        assert result.phases.connect_ms is not None
        assert result.latency_ms is not None

    async def test_refused(self, check: Check) -> None:
        port = refused_port()
        result = await check(type="port", host="127.0.0.1", port=port)
        assert (result.error_class, result.error) == ("connect_refused", f"Connection refused by 127.0.0.1:{port}")

    async def test_no_answer(self, check: Check) -> None:
        async with full_backlog() as port:
            result = await check(type="port", host="127.0.0.1", port=port, timeout_seconds=1)
        assert (result.error_class, result.error) == (
            "connect_timeout",
            f"No connection to 127.0.0.1:{port} within 1 s",
        )

    @pytest.mark.skipif(not is_ipv6_here(), reason="no IPv6 on this machine")
    async def test_a_dead_ipv6_does_not_hide_a_live_ipv4(self, check: Check, name_server: DnsServer) -> None:
        name_server.records = {"www.test A": ["127.0.0.1"], "www.test AAAA": ["::1"]}
        async with raw_server(answers()) as port:
            result = await check(type="port", host="www.test", port=port)
        assert (result.outcome, result.address) == ("up", "127.0.0.1")
        result = await check(type="port", host="www.test", port=refused_port())
        assert result.error_class == "connect_refused"

    async def test_blocked(self, check: Check) -> None:
        result = await check(type="port", host="169.254.169.254", port=80)
        assert (result.outcome, result.error_class) == ("unknown", "blocked")


class TestDns:
    async def test_values(self, check: Check, name_server: DnsServer) -> None:
        name_server.records = {
            "x.test A": ["10.0.0.1", "10.0.0.2"], "x.test MX": ["10 mail.x.test."], "x.test TXT": ['"v=spf1 -all"'],
            "1.0.0.10.in-addr.arpa PTR": ["x.test."],
        }  # fmt: skip
        server = f"127.0.0.1:{name_server.port}"
        for fields in (
            {"host": "x.test", "record_type": "A", "expected_values": ["10.0.0.2"]},
            {"host": "x.test", "record_type": "MX", "expected_values": ["10 mail.x.test"], "resolver": server},
            {"host": "x.test", "record_type": "TXT", "expected_values": ["v=spf1 -all"], "resolver": server},
            {"host": "10.0.0.1", "record_type": "PTR", "expected_values": ["x.test"]},
        ):
            result = await check(type="dns", **fields)
            assert (result.outcome, result.error) == ("up", None)
        result = await check(type="dns", host="x.test", expected_values=["10.0.0.3"])
        assert (result.error_class, result.error) == ("content", "The answer 10.0.0.1, 10.0.0.2 lacks 10.0.0.3")
        assert result.evidence is not None
        assert result.evidence.notes == ["answered NOERROR", "10.0.0.1", "10.0.0.2"]

    async def test_failures(self, check: Check, name_server: DnsServer) -> None:
        name_server.records = {"x.test A": [], "bad.test A": dns.rcode.SERVFAIL, "mute.test A": None}
        server = f"127.0.0.1:{name_server.port}"
        for host, error_class, sentence in (
            ("gone.test", "dns", "The name gone.test does not exist (NXDOMAIN)"),
            ("x.test", "dns", "x.test has no A record"),
            ("bad.test", "dns", "The name server answered SERVFAIL for bad.test"),
            ("mute.test", "timeout", f"{server} did not answer within 1 s"),
        ):
            result = await check(type="dns", host=host, resolver=server, timeout_seconds=1)
            assert (result.outcome, result.error_class, result.error) == ("down", error_class, sentence)

    async def test_a_server_that_is_not_there(self, check: Check) -> None:
        result = await check(type="dns", host="x.test", resolver=f"127.0.0.1:{refused_port()}")
        assert result.error_class == "unreachable"
        result = await check(type="dns", host="x.test", resolver="169.254.169.254")
        assert result.error_class == "blocked"


class TestTls:
    async def test_good(self, check: Check, ca: trustme.CA) -> None:
        async with raw_server(answers(), tls=tls_context(ca, "good.test")) as port:
            result = await check(type="tls", host="good.test", port=port)
            by_address = await check(type="tls", host="127.0.0.1", port=port, server_name="good.test")
            wrong = await check(type="tls", host="good.test", port=port, server_name="bad.test")
        assert (result.outcome, by_address.outcome) == ("up", "up")
        assert result.certificate is not None
        assert result.phases.tls_ms is not None
        assert result.assertions == []
        assert (wrong.error_class, wrong.error) == ("tls", "The certificate is not made out to bad.test")

    @pytest.mark.parametrize(
        ("from_days", "to_days", "outcome", "words"),
        [
            (-30, -3, "down", "The certificate has expired"),
            (-30, 13, "degraded", "The certificate expires in 13 days"),
            (-30, 15, "up", None),
        ],
    )
    async def test_dates(
        self,
        check: Check,
        ca: trustme.CA,
        tmp_path: Path,
        from_days: int,
        to_days: int,
        outcome: str,
        words: str | None,
    ) -> None:
        async with raw_server(answers(), tls=dated_context(ca, "good.test", from_days, to_days, tmp_path)) as port:
            result = await check(type="tls", host="good.test", port=port)
        assert result.outcome == outcome
        assert words in [result.error, *result.reasons]
        assert result.certificate is not None
        assert result.certificate.days == to_days

    @pytest.mark.parametrize(("version", "outcome"), [(ssl.TLSVersion.TLSv1_3, "up"), (ssl.TLSVersion.TLSv1_2, "down")])
    async def test_the_version_that_was_agreed_on_can_be_asserted(
        self, check: Check, ca: trustme.CA, version: ssl.TLSVersion, outcome: str
    ) -> None:
        newest = {"subject": "protocol", "operator": "equals", "value": "TLSv1.3"}
        context = tls_context(ca, "good.test")
        context.maximum_version = version
        async with raw_server(answers(), tls=context) as port:
            result = await check(type="tls", host="good.test", port=port, assertions=[newest])
            plain = await check(type="tls", host="good.test", port=port)
        assert (result.outcome, plain.outcome) == (outcome, "up")
        assert result.assertions[0].seen == ("TLSv1.3" if outcome == "up" else "TLSv1.2")

    async def test_no_tls_there(self, check: Check) -> None:
        async with raw_server(answers(b"220 hello\r\n", then="hang")) as port:
            result = await check(type="tls", host="good.test", port=port, timeout_seconds=1)
        assert (result.error_class, result.error) == ("timeout", "TLS handshake timed out after 1 s")


class TestPing:
    async def test_many_at_once_through_one_socket(self, check: Check) -> None:
        """With the right to ping; without it the answer says how to get it."""
        results = await asyncio.gather(
            *(check(type="ping", host=f"127.0.0.{n}", packets=2) for n in range(1, 101)),
            *((check(type="ping", host="::1"),) if is_ipv6_here() else ()),
        )
        for result in results:
            if result.error_class == "internal":
                assert (result.outcome, result.error) == ("unknown", f"The prober may not send pings: run {MEND}")
            else:
                assert (result.outcome, result.error) == ("up", None)
                assert result.latency_ms is not None
                assert result.latency_ms < 1000

    async def test_nobody_there(self, check: Check) -> None:
        result = await check(type="ping", host="192.0.2.77", timeout_seconds=1)
        if result.error_class == "internal":
            pytest.skip("no right to ping on this machine")
        assert result.outcome == "down"
        assert result.error_class in ("timeout", "unreachable")

    async def test_total_loss_is_judged_and_stays_down(self, check: Check) -> None:
        loss = {"subject": "packet_loss", "operator": "less_than", "value": 50, "severity": "degraded"}
        fast = {"subject": "latency", "operator": "less_than", "value": 500}
        result = await check(type="ping", host="192.0.2.77", timeout_seconds=1, assertions=[loss, fast])
        if result.error_class == "internal":
            pytest.skip("no right to ping on this machine")
        assert (result.outcome, result.error_class in ("timeout", "unreachable")) == ("down", True)
        assert [(each.subject, each.seen, each.ok) for each in result.assertions] == [
            ("packet_loss", "100", False),
            ("latency", None, False),
        ]
