"""From what libcurl and the sockets say to an error class and a sentence that a person understands. Pure."""

import errno
import re
from dataclasses import dataclass, replace

from farwatch_events.results import ErrorClass
from farwatch_prober.outcome import in_words

# Numbers of CURLcode, stable since each was added (curl.se/libcurl/c/libcurl-errors.html).
OK, UNSUPPORTED_PROTOCOL, URL_MALFORMED, COULD_NOT_RESOLVE, COULD_NOT_CONNECT, WEIRD_REPLY = 0, 1, 3, 6, 7, 8
HTTP2, PARTIAL_FILE, WRITE_ERROR, TIMED_OUT, TLS_CONNECT, GOT_NOTHING = 16, 18, 23, 28, 35, 52
SEND_ERROR, RECEIVE_ERROR, TLS_CIPHER, VERIFY_FAILED, BAD_ENCODING, CA_FILE = 55, 56, 59, 60, 61, 77
TLS_SHUTDOWN, TLS_ISSUER, PIN_MISMATCH, INVALID_STATUS, HTTP2_STREAM, TOO_LARGE = 80, 83, 90, 91, 92, 100
CERTIFICATE, PROXY = 58, 97

_TLS_CODES = frozenset({TLS_CONNECT, TLS_CIPHER, VERIFY_FAILED, TLS_SHUTDOWN, TLS_ISSUER, PIN_MISMATCH, INVALID_STATUS})

_CERTIFICATE_FAULTS = (
    ("certificate has expired", "The certificate has expired"),
    ("certificate is not yet valid", "The certificate is not valid yet"),
    ("self-signed certificate in certificate chain", "The certificate chain ends in a root that is not trusted"),
    ("self signed certificate in certificate chain", "The certificate chain ends in a root that is not trusted"),
    ("self-signed certificate", "The certificate is self-signed"),
    ("self signed certificate", "The certificate is self-signed"),
    ("unable to get local issuer certificate",
     "The certificate is not signed by a trusted authority, or the server does not send the intermediate one"),
    ("unable to verify the first certificate",
     "The certificate is not signed by a trusted authority, or the server does not send the intermediate one"),
    ("certificate revoked", "The certificate has been revoked"),
    ("key too weak", "The key of the certificate is too weak"),
    ("key too small", "The key of the certificate is too small"),
    ("md too weak", "The signature of the certificate is too weak"),
)  # fmt: skip

_HANDSHAKE_FAULTS = (
    ("wrong version number", "What answered does not speak TLS"),
    ("packet length too long", "What answered does not speak TLS"),
    ("http request", "What answered does not speak TLS"),
    ("unsupported protocol", "The server offers only TLS versions that are too old"),
    ("protocol version", "The server accepts none of our TLS versions"),
    ("no protocols available", "The server accepts none of our TLS versions"),
    ("handshake failure", "The TLS handshake failed: no cipher in common, or a client certificate is required"),
    ("no shared cipher", "The TLS handshake failed: no cipher in common"),
    ("unrecognized name", "The server does not know this host name (TLS server name indication)"),
    ("dh key too small", "The server's key exchange is too weak"),
    ("certificate required", "The server asks for a client certificate"),
)

_WRONG_HOST = re.compile(
    r"(no alternative certificate subject name matches|does not match|subject name .* not match"
    r"|hostname mismatch|ip address mismatch)"
)


@dataclass(frozen=True, slots=True)
class TransferFault:
    """What libcurl reported, and how far the transfer had come."""

    code: int
    message: str
    os_errno: int
    endpoint: str
    host: str
    is_tls: bool
    connected: bool
    secured: bool
    answered: bool
    timeout_seconds: float
    proxied: bool = False


def classify_transfer(fault: TransferFault) -> tuple[ErrorClass, str]:
    """The class and the sentence for a transfer that failed (`fault.code` is not OK)."""
    if fault.proxied:
        fault = replace(fault, endpoint=f"the proxy at {fault.endpoint}")
        if fault.code == PROXY or "connect tunnel failed" in fault.message.lower():
            return _proxy_fault(fault)
    if fault.code == TIMED_OUT:
        return _timed_out(fault)
    if fault.code == COULD_NOT_CONNECT:
        return classify_connect(fault.os_errno, fault.endpoint, fault.timeout_seconds)
    if fault.code == CA_FILE:
        return ErrorClass.INTERNAL, "The prober cannot read its certificate authorities (see FARWATCH_CA_FILE)"
    if fault.code == CERTIFICATE:
        return ErrorClass.TLS, f"The client certificate or its key cannot be used: {fault.message[:200]}"
    if "certificate required" in fault.message.lower():  # TLS 1.3 says so after the handshake
        return ErrorClass.TLS, "The server asks for a client certificate"
    is_refused = fault.is_tls and "certificate required" in fault.message.lower()  # TLS 1.3 says so after the handshake
    if is_refused or fault.code in _TLS_CODES or (fault.is_tls and fault.connected and not fault.secured):
        return ErrorClass.TLS, _tls_sentence(fault)
    return _exchange_fault(fault)


_SOCKS_CODES = {
    "(1)": "it failed",
    "(2)": "its rules forbid it",
    "(3)": "there is no route to the network",
    "(4)": "the host is unreachable",
    "(5)": "the connection was refused",
    "(6)": "it took too long",
    "user was rejected": "it does not accept the user name and password",
    "no authentication method": "it asks for a user name and password",
}


def _proxy_fault(fault: TransferFault) -> tuple[ErrorClass, str]:
    """The proxy answered, and did not take us to the target."""
    message = fault.message.lower()
    if "response 407" in message:
        why = "it asks for a user name and password (407)"
    elif "response " in message:
        why = f"it answered {message.partition('response ')[2][:3]}"
    else:
        why = next((words for code, words in _SOCKS_CODES.items() if code in message), fault.message[:200])
    return ErrorClass.UNREACHABLE, f"{fault.host} was not reached through {fault.endpoint}: {why}"


def _timed_out(fault: TransferFault) -> tuple[ErrorClass, str]:
    waited = in_words(fault.timeout_seconds)
    if not fault.connected:
        return ErrorClass.CONNECT_TIMEOUT, f"No connection to {fault.endpoint} within {waited}"
    if fault.is_tls and not fault.secured:
        return ErrorClass.TIMEOUT, f"TLS handshake timed out after {waited}"
    if not fault.answered:
        return ErrorClass.TIMEOUT, f"Connected to {fault.endpoint}, but no answer within {waited}"
    return ErrorClass.TIMEOUT, f"The answer began but was not complete within {waited}"


_UNREACHABLE = {
    errno.ENETUNREACH: "there is no route to its network",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ENETDOWN: "the network is down",
    errno.EACCES: "a firewall forbids it",
    errno.EPERM: "a firewall forbids it",
    errno.EADDRNOTAVAIL: "no local address fits",
    errno.EAFNOSUPPORT: "the prober has no network of that address family",
}


def classify_connect(os_errno: int, endpoint: str, timeout_seconds: float) -> tuple[ErrorClass, str]:
    """The class and the sentence for a TCP connection that did not come about."""
    if os_errno == errno.ECONNREFUSED:
        return ErrorClass.CONNECT_REFUSED, f"Connection refused by {endpoint}"
    if os_errno == errno.ETIMEDOUT:
        return ErrorClass.CONNECT_TIMEOUT, f"No connection to {endpoint} within {in_words(timeout_seconds)}"
    if os_errno in (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE):
        return ErrorClass.CONNECT_REFUSED, f"Connection reset by {endpoint} while connecting"
    if os_errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
        return ErrorClass.INTERNAL, "The prober has no sockets left"
    why = _UNREACHABLE.get(os_errno)
    return ErrorClass.UNREACHABLE, f"{endpoint} is unreachable: {why}" if why else f"{endpoint} is unreachable"


def _tls_sentence(fault: TransferFault) -> str:
    message = fault.message.lower()
    for needle, sentence in _CERTIFICATE_FAULTS:
        if needle in message:
            return sentence
    if _WRONG_HOST.search(message):
        return f"The certificate is not made out to {fault.host}"
    for needle, sentence in _HANDSHAKE_FAULTS:
        if needle in message:
            return sentence
    if fault.os_errno == errno.ECONNRESET or "reset" in message:
        return f"{fault.endpoint} reset the connection during the TLS handshake"
    if "eof" in message or "syscall" in message or fault.code in (GOT_NOTHING, RECEIVE_ERROR, SEND_ERROR):
        return f"{fault.endpoint} closed the connection during the TLS handshake"
    return f"The TLS handshake failed: {fault.message[:200]}"


_EXCHANGE_FAULTS = (
    ("too large response header", "The headers of the answer are too large"),
    ("chunk", "The answer's chunked encoding is broken"),
    ("content-length", "The Content-Length of the answer makes no sense"),
    ("empty reply", "{endpoint} closed the connection without answering"),
)


_PLAIN_FAULTS = {
    UNSUPPORTED_PROTOCOL: "What answered does not speak HTTP",
    URL_MALFORMED: "The address is not a valid URL",
    WEIRD_REPLY: "What answered does not speak HTTP",
    PARTIAL_FILE: "The answer broke off before its end",
    BAD_ENCODING: "The answer's content encoding is broken or unknown",
    TOO_LARGE: "The headers of the answer are too large",
}


def _exchange_fault(fault: TransferFault) -> tuple[ErrorClass, str]:
    message = fault.message.lower()
    for needle, sentence in _EXCHANGE_FAULTS:
        if needle in message:
            return ErrorClass.PROTOCOL, sentence.format(endpoint=fault.endpoint)
    if (plain := _PLAIN_FAULTS.get(fault.code)) is not None:
        return ErrorClass.PROTOCOL, plain
    reset = fault.os_errno == errno.ECONNRESET or "reset" in message
    match fault.code:
        case 52 if not reset:
            return ErrorClass.PROTOCOL, f"{fault.endpoint} closed the connection without answering"
        case 56 if "unexpected eof" in message:
            how = "broke off its answer" if fault.answered else "closed the connection without answering"
            return ErrorClass.PROTOCOL, f"{fault.endpoint} {how}"
        case 52 | 55 | 56 if reset:
            when = "in the middle of its answer" if fault.answered else "before answering"
            return ErrorClass.PROTOCOL, f"{fault.endpoint} reset the connection {when}"
        case 16 | 92:
            return ErrorClass.PROTOCOL, f"HTTP/2 failed: {fault.message[:200]}"
        case 2 | 4 | 27 | 41 | 43 | 45 | 48:
            return ErrorClass.INTERNAL, f"The prober could not run this check: {fault.message[:200]}"
    return ErrorClass.PROTOCOL, f"The exchange failed: {fault.message[:200] or f'libcurl error {fault.code}'}"
