"""How a conversation is moved to TLS (STARTTLS), a table of lines a protocol; and escapes in what is sent. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([rnt0\\]))")
_PLAIN_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


@dataclass(frozen=True, slots=True)
class Turn:
    """Sends (nothing at first), then reads lines until one matches `good` (onwards), or `bad`."""

    send: bytes
    good: "re.Pattern[bytes]"
    bad: "re.Pattern[bytes]"


def _turn(send: bytes, good: bytes, bad: bytes) -> Turn:
    return Turn(send, re.compile(good, re.IGNORECASE | re.MULTILINE), re.compile(bad, re.IGNORECASE | re.MULTILINE))


_SMTP_BAD = rb"^[45]\d\d[ -]"
STARTTLS: Mapping[str, tuple[Turn, ...]] = {
    "smtp": (
        _turn(b"", rb"^220 ", _SMTP_BAD),
        _turn(b"EHLO farwatch.invalid\r\n", rb"^250 ", _SMTP_BAD),
        _turn(b"STARTTLS\r\n", rb"^220 ", _SMTP_BAD),
    ),
    "imap": (_turn(b"", rb"^\* (OK|PREAUTH)", rb"^\* BYE"), _turn(b"a1 STARTTLS\r\n", rb"^a1 OK", rb"^a1 (NO|BAD)")),
    "pop3": (_turn(b"", rb"^\+OK", rb"^-ERR"), _turn(b"STLS\r\n", rb"^\+OK", rb"^-ERR")),
    "ftp": (_turn(b"", rb"^220 ", _SMTP_BAD), _turn(b"AUTH TLS\r\n", rb"^234 ", _SMTP_BAD)),
    # The code of SSLRequest (postgresql.org/docs/current/protocol-message-formats.html); one letter comes back.
    "postgres": (_turn(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", rb"\AS", rb"\A[^S]"),),
}  # fmt: skip


def unescape(text: str) -> bytes:
    r"""What is sent for it: \r, \n, \t, \0, \\ and \x41 stand for their characters, anything else for itself."""
    sent, position = b"", 0
    for found in _ESCAPE.finditer(text):
        sent += text[position : found.start()].encode()
        sent += bytes.fromhex(found[1]) if found[1] else _PLAIN_ESCAPES[found[2]]
        position = found.end()
    return sent + text[position:].encode()
