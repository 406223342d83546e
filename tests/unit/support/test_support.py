"""The test fixtures themselves: what other suites rely on."""

import asyncio
import smtplib

import asyncpg
import httpx
import nats

from tests.support.http import HttpServer, Response
from tests.support.servers import NatsProcess, PostgresProcess
from tests.support.smtp import SmtpSink
from tests.support.waiting import eventually


async def test_a_nats_server_keeps_its_address_and_store_across_a_kill(nats_server: NatsProcess) -> None:
    url = nats_server.url
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"one")
    await client.close()
    nats_server.kill()
    nats_server.start()
    assert nats_server.url == url
    client = await nats.connect(url)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_http_server_answers_its_script_and_keeps_its_port(http_target: HttpServer) -> None:
    http_target.script = [Response(status=503, body=b"later")]
    async with httpx.AsyncClient() as client:
        assert (await client.post(http_target.url, json={"a": 1})).status_code == 503
        assert (await client.get(http_target.url)).text == "ok"
    assert http_target.requests[0].json() == {"a": 1}
    port = http_target.port
    await http_target.stop()
    await http_target.start()
    assert http_target.port == port


async def test_smtp_sink_keeps_mails(smtp_sink: SmtpSink) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", smtp_sink.port) as client:
            client.sendmail("a@x.test", ["b@x.test"], "Subject: hello\r\n\r\nbody\r\n")

    await asyncio.to_thread(send)
    (mail,) = await eventually(lambda: smtp_sink.mails)
    assert mail.subject == "hello"
    assert mail.recipients == ["b@x.test"]


def test_postgres_comes_back_after_a_kill(own_postgres: PostgresProcess) -> None:
    async def write_and_read(statement: str) -> object:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(own_postgres.url())
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    url = own_postgres.url()
    asyncio.run(write_and_read("create table kept as select 7 as number"))
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.url() == url
    assert asyncio.run(write_and_read("select not rolsuper from pg_roles where rolname = current_user"))
