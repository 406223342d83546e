"""port checks that talk, to servers that answer well, badly or not at all."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import dated_context, raw_server, refused_port, reset, tls_context


@asynccontextmanager
async def redis_like(reply: bytes = b"+PONG\r\n", then: str = "close") -> AsyncIterator[int]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(reply if line == b"PING\r\n" else b"-ERR unknown\r\n")
        await writer.drain()
        if then == "hang":
            await asyncio.sleep(3600)

    async with raw_server(handler) as port:
        yield port


class TestSendAndExpect:
    async def test_the_answer_that_is_expected(self, check: Check) -> None:
        async with redis_like(then="hang") as port:
            result = await check(type="port", host="127.0.0.1", port=port, send="PING\\r\\n", expect="+PONG")
        assert (result.outcome, result.error) == ("up", None)
        assert result.phases.wait_ms is not None

    async def test_another_answer(self, check: Check) -> None:
        at: dict[str, Any] = {"type": "port", "host": "127.0.0.1", "timeout_seconds": 1}
        async with redis_like() as port:
            result = await check(port=port, send="QUIT\\r\\n", expect="+PONG", **at)
            assert (result.error_class, result.error) == (
                "protocol", f'127.0.0.1:{port} closed the connection after "-ERR unknown"',
            )  # fmt: skip
            assert result.evidence is not None
            assert result.evidence.body == "-ERR unknown\r\n"
        async with redis_like(b"+BUSY\r\n", then="hang") as port:
            result = await check(port=port, send="PING\\r\\n", expect="+PONG", **at)
            assert (result.error_class, result.error) == (
                "timeout", f'Connected to 127.0.0.1:{port}, but it sent only "+BUSY" within 1 s',
            )  # fmt: skip

    async def test_a_banner_and_assertions_about_it(self, check: Check) -> None:
        async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            await writer.drain()
            await asyncio.sleep(3600)

        async with raw_server(banner) as port:
            seen = [{"subject": "body", "operator": "matches", "value": r"^SSH-2\.0-OpenSSH_9\."}]
            result = await check(type="port", host="127.0.0.1", port=port, assertions=seen)
            assert (result.outcome, [a.ok for a in result.assertions]) == ("up", [True])
            seen = [{"subject": "body", "operator": "contains", "value": "OpenSSH_10", "severity": "degraded"}]
            result = await check(type="port", host="127.0.0.1", port=port, assertions=seen)
            assert result.reasons == ['"OpenSSH_10" is missing from the answer']

    async def test_silence_reset_and_refusal(self, check: Check) -> None:
        async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            await asyncio.sleep(3600)

        async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reset(writer)

        fields: dict[str, Any] = {"type": "port", "host": "127.0.0.1", "expect": "x", "timeout_seconds": 1}
        async with raw_server(silent) as port:
            result = await check(port=port, **fields)
        assert result.error == f"Connected to 127.0.0.1:{port}, but it sent nothing within 1 s"
        async with raw_server(rude) as port:
            result = await check(port=port, **fields)
        assert result.error == f"127.0.0.1:{port} reset the connection without sending anything"
        port = refused_port()
        assert (await check(port=port, **fields)).error == f"Connection refused by 127.0.0.1:{port}"

    async def test_an_endless_answer_is_read_up_to_a_limit(self, check: Check) -> None:
        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"y" * 65536)
                await writer.drain()

        async with raw_server(endless) as port:
            result = await check(type="port", host="127.0.0.1", port=port, expect="needle")
        assert (result.error_class, result.error) == (
            "content", f'"needle" is missing from what 127.0.0.1:{port} sent',
        )  # fmt: skip
        assert len(result.to_bytes()) < 4096


SCRIPTS: dict[str, list[tuple[bytes, bytes]]] = {
    "smtp": [
        (b"", b"220-mail.test\r\n220 ready\r\n"),
        (b"EHLO farwatch.invalid\r\n", b"250-mail.test\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go\r\n"),
    ],
    "imap": [(b"", b"* OK ready\r\n"), (b"a1 STARTTLS\r\n", b"a1 OK go\r\n")],
    "pop3": [(b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK go\r\n")],
    "ftp": [(b"", b"220 ready\r\n"), (b"AUTH TLS\r\n", b"234 go\r\n")],
    "postgres": [(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S")],
}


@asynccontextmanager
async def mail_like(protocol: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said, answer in SCRIPTS[protocol]:
            assert await reader.readexactly(len(said)) == said
            writer.write(answer)
            await writer.drain()
        await writer.start_tls(context)
        writer.write(b"+ in private\r\n")
        await writer.drain()
        await reader.read()

    async with raw_server(handler) as port:
        yield port


class TestStarttls:
    @pytest.mark.parametrize("protocol", SCRIPTS)
    async def test_each_protocol(self, check: Check, ca: trustme.CA, protocol: str) -> None:
        async with mail_like(protocol, tls_context(ca, "good.test")) as port:
            result = await check(
                type="port", host="good.test", port=port, starttls=protocol, expect="in private",
                assertions=[{"subject": "certificate.days", "operator": "greater_than", "value": 1}],
            )  # fmt: skip
        assert (result.outcome, result.error) == ("up", None)
        assert result.phases.tls_ms is not None
        assert result.certificate is not None
        assert "O = trustme" in result.certificate.subject

    async def test_a_wrong_host_an_unknown_authority_and_one_near_its_end(
        self, check: Check, ca: trustme.CA, tmp_path: Path
    ) -> None:
        fields: dict[str, Any] = {"type": "port", "host": "good.test", "starttls": "imap", "timeout_seconds": 5}
        async with mail_like("imap", tls_context(ca, "other.test")) as port:
            result = await check(port=port, **fields)
        assert (result.error_class, result.error) == ("tls", "The certificate is not made out to good.test")
        async with mail_like("imap", tls_context(trustme.CA(), "good.test")) as port:
            result = await check(port=port, **fields)
            assert "not signed by a trusted authority" in str(result.error)
            assert (await check(port=port, verify_tls=False, **fields)).outcome == "up"
        async with mail_like("imap", dated_context(ca, "good.test", -1, 5, tmp_path)) as port:
            result = await check(port=port, **fields)
        assert result.reasons == ["The certificate expires in 5 days"]

    async def test_a_server_without_it(self, check: Check) -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 ready\r\n")
            await reader.readline()
            writer.write(b"500 what?\r\n")
            await reader.read()

        async with raw_server(plain) as port:
            result = await check(type="port", host="127.0.0.1", port=port, starttls="smtp")
        assert (result.error_class, result.error) == (
            "protocol", f'127.0.0.1:{port} does not offer TLS (smtp): it said "500 what?"',
        )  # fmt: skip
