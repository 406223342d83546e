from hypothesis import given
from hypothesis import strategies as st

from farwatch_prober.icmpwire import Echo, checksum, decode, encode_request

IPV4_HEADER = bytes([0x45]) + b"\0" * 19


def as_reply(packet: bytes, kind: int) -> bytes:
    return bytes([kind]) + packet[1:]


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=64))
def test_a_reply_brings_back_what_was_sent(identifier: int, sequence: int, payload: bytes) -> None:
    request = encode_request(4, identifier, sequence, payload)
    assert checksum(request) == 0
    echo = Echo(identifier, sequence, payload)
    assert decode(4, IPV4_HEADER + as_reply(request, 0), has_ip_header=True) == echo
    assert decode(4, as_reply(request, 0), has_ip_header=False) == echo
    assert decode(6, as_reply(encode_request(6, identifier, sequence, payload), 129), has_ip_header=False) == echo


def test_our_own_request_on_loopback_is_no_reply() -> None:
    assert decode(4, IPV4_HEADER + encode_request(4, 1, 2, b""), has_ip_header=True) is None


def test_a_routers_report_quotes_the_request() -> None:
    request = encode_request(4, 1, 2, b"")
    report = bytes([3, 1]) + b"\0" * 6 + IPV4_HEADER + request
    assert decode(4, IPV4_HEADER + report, has_ip_header=True) == Echo(1, 2, b"", is_error=True)
    report6 = bytes([1, 3]) + b"\0" * 6 + b"\0" * 40 + encode_request(6, 1, 2, b"")
    assert decode(6, report6, has_ip_header=False) == Echo(1, 2, b"", is_error=True)


@given(st.binary(max_size=60), st.sampled_from([4, 6]), st.booleans())
def test_garbage_is_nothing_or_an_echo(data: bytes, version: int, has_ip_header: bool) -> None:
    decode(version, data, has_ip_header=has_ip_header)
