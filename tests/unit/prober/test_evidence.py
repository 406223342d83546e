import base64

from farwatch_events.masking import MASK
from farwatch_events.monitor import HttpMonitor
from farwatch_prober import evidence

LINES = [
    b"HTTP/1.1 100 Continue\r\n", b"X-Interim: 1\r\n", b"\r\n",
    b"HTTP/1.1 500 Oops\r\n", b"Content-Type: text/html; charset=latin-1\r\n", b"Set-Cookie: sid=1234\r\n",
    b"X-Echo: hunter2x\r\n", b"\r\n",
]  # fmt: skip
SPEC = HttpMonitor.model_validate(
    {
        "type": "http", "name": "x", "url": "http://x/", "headers": {"X-Token": "tok tok-123456", "Accept": "a/b"},
        "auth": {"type": "basic", "username": "me", "password": "hunter2x"},
    }
)  # fmt: skip


def test_the_last_answer_counts() -> None:
    assert evidence.header(LINES, "content-type") == "text/html; charset=latin-1"
    assert evidence.header(LINES, "x-interim") is None


def test_secrets_are_masked_wherever_they_come_back() -> None:
    pair = base64.b64encode(b"me:hunter2x").decode()
    body = f"you sent hunter2x, {pair} and tok-123456 \xe9".encode("latin-1")
    seen = evidence.gather(LINES, body, "127.0.0.1", evidence.secrets_of(SPEC), ["redirected to http://x/?p=hunter2x"])
    assert seen.status_line == "HTTP/1.1 500 Oops"
    assert seen.headers == {"Content-Type": "text/html; charset=latin-1", "Set-Cookie": MASK, "X-Echo": MASK}
    assert seen.body == f"you sent {MASK}, {MASK} and {MASK} é"
    assert seen.notes == [f"redirected to http://x/?p={MASK}"]
    assert "hunter2x" not in seen.model_dump_json()


def test_it_stays_small() -> None:
    lines = [b"HTTP/1.1 200 OK\r\n", *[b"X-%d: %s\r\n" % (i, b"y" * 500) for i in range(100)]]
    seen = evidence.gather(lines, b"z" * 100_000, "127.0.0.1", (), ["n" * 1000] * 50)
    assert len(seen.model_dump_json()) <= 4096 + 700
    assert len(seen.body) == 1000


def test_bodies_decode_by_what_they_declare_or_as_utf8() -> None:
    assert evidence.decode_body("é".encode("latin-1"), 'text/html; charset="ISO-8859-1"') == "é"
    assert evidence.decode_body("é".encode(), "text/html; charset=unknown-thing") == "é"
    assert evidence.decode_body(b"\xff", None) == "\N{REPLACEMENT CHARACTER}"
