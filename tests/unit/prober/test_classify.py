import errno
from typing import Any

import pytest

from farwatch_prober.classify import TransferFault, classify_connect, classify_transfer


def fault(**changes: Any) -> TransferFault:
    base: dict[str, Any] = {
        "code": 28, "message": "", "os_errno": 0, "endpoint": "127.0.0.1:8080", "host": "x.test", "is_tls": False,
        "connected": True, "secured": False, "answered": False, "timeout_seconds": 10.0,
    }  # fmt: skip
    return TransferFault(**(base | changes))


@pytest.mark.parametrize(
    ("changes", "error_class", "sentence"),
    [
        ({"connected": False}, "connect_timeout", "No connection to 127.0.0.1:8080 within 10 s"),
        ({"is_tls": True}, "timeout", "TLS handshake timed out after 10 s"),
        ({"is_tls": True, "secured": True}, "timeout", "Connected to 127.0.0.1:8080, but no answer within 10 s"),
        ({}, "timeout", "Connected to 127.0.0.1:8080, but no answer within 10 s"),
        ({"answered": True}, "timeout", "The answer began but was not complete within 10 s"),
        ({"code": 7, "os_errno": errno.ECONNREFUSED}, "connect_refused", "Connection refused by 127.0.0.1:8080"),
        ({"code": 7, "os_errno": errno.ENETUNREACH}, "unreachable",
         "127.0.0.1:8080 is unreachable: there is no route to its network"),
        ({"code": 7}, "unreachable", "127.0.0.1:8080 is unreachable"),
        ({"code": 60, "is_tls": True, "message": "SSL certificate problem: certificate has expired"}, "tls",
         "The certificate has expired"),
        ({"code": 60, "is_tls": True, "message": "SSL certificate OpenSSL verify result: self-signed certificate (18)"},
         "tls", "The certificate is self-signed"),
        ({"code": 60, "is_tls": True,
          "message": "SSL: no alternative certificate subject name matches target hostname 'x.test'"}, "tls",
         "The certificate is not made out to x.test"),
        ({"code": 35, "is_tls": True, "message": "error:0A00010B:SSL routines::wrong version number"}, "tls",
         "What answered does not speak TLS"),
        ({"code": 35, "is_tls": True, "message": "Recv failure: Connection reset by peer", "os_errno": 104}, "tls",
         "127.0.0.1:8080 reset the connection during the TLS handshake"),
        ({"code": 56, "is_tls": True, "message": "odd"}, "tls",
         "127.0.0.1:8080 closed the connection during the TLS handshake"),
        ({"code": 77, "is_tls": True}, "internal",
         "The prober cannot read its certificate authorities (see FARWATCH_CA_FILE)"),
        ({"code": 52}, "protocol", "127.0.0.1:8080 closed the connection without answering"),
        ({"code": 56, "os_errno": errno.ECONNRESET}, "protocol",
         "127.0.0.1:8080 reset the connection before answering"),
        ({"code": 56, "message": "Recv failure: Connection reset by peer", "answered": True}, "protocol",
         "127.0.0.1:8080 reset the connection in the middle of its answer"),
        ({"code": 18, "answered": True}, "protocol", "The answer broke off before its end"),
        ({"code": 61}, "protocol", "The answer's content encoding is broken or unknown"),
        ({"code": 1}, "protocol", "What answered does not speak HTTP"),
        ({"code": 100}, "protocol", "The headers of the answer are too large"),
        ({"code": 92, "message": "stream 1 was reset"}, "protocol", "HTTP/2 failed: stream 1 was reset"),
        ({"code": 27, "message": "out of memory"}, "internal", "The prober could not run this check: out of memory"),
        ({"code": 48, "message": ""}, "internal", "The prober could not run this check: "),
        ({"code": 250, "message": ""}, "protocol", "The exchange failed: libcurl error 250"),
    ],
)  # fmt: skip
def test_transfers(changes: dict[str, Any], error_class: str, sentence: str) -> None:
    assert classify_transfer(fault(**changes)) == (error_class, sentence)


@pytest.mark.parametrize(
    ("number", "error_class"),
    [
        (errno.ECONNREFUSED, "connect_refused"), (errno.ETIMEDOUT, "connect_timeout"),
        (errno.ECONNRESET, "connect_refused"),
        (errno.EMFILE, "internal"), (errno.EHOSTUNREACH, "unreachable"), (errno.EAFNOSUPPORT, "unreachable"),
        (0, "unreachable"),
    ],
)  # fmt: skip
def test_connections(number: int, error_class: str) -> None:
    assert classify_connect(number, "[::1]:80", 2.5)[0] == error_class
