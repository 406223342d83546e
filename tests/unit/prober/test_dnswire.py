from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_prober import dnswire
from farwatch_prober.dnsvalues import question_name, values
from farwatch_prober.dnswire import AAAA, A, BadMessage, decode_reply, encode_query


def reply(name: str, kind: str, *records: tuple[str, str, str], rcode: int = 0, flags: int = 0) -> bytes:
    query = dns.message.from_wire(encode_query(7, name, dnswire.RECORD_TYPES[kind]))
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.Rcode(rcode))
    answer.flags |= flags
    for owner, record_type, text in records:
        answer.answer.append(dns.rrset.from_text(owner, 60, "IN", record_type, text))
    return answer.to_wire()


def test_a_query_is_what_other_software_reads() -> None:
    query = dns.message.from_wire(encode_query(4711, "www.example.com", AAAA))
    assert (query.id, query.question[0].to_text()) == (4711, "www.example.com. IN AAAA")
    assert query.flags == dns.flags.RD


def test_addresses_follow_the_aliases() -> None:
    wire = reply(
        "www.x.test", "A", ("Edge.x.test.", "A", "10.0.0.1"), ("www.x.test.", "CNAME", "edge.X.test."),
        ("other.test.", "A", "10.9.9.9"),
    )  # fmt: skip
    assert decode_reply(wire, "www.x.test", A).addresses == ("10.0.0.1",)


def test_ipv6_empty_and_refusals() -> None:
    assert decode_reply(reply("x.test", "AAAA", ("x.test.", "AAAA", "2001:db8::1")), "x.test", AAAA).addresses == (
        "2001:db8::1",
    )
    assert decode_reply(reply("x.test", "A"), "x.test", A).addresses == ()
    assert decode_reply(reply("x.test", "A", rcode=3), "x.test", A).rcode == dnswire.NXDOMAIN
    assert decode_reply(reply("x.test", "A", flags=dns.flags.TC), "x.test", A).truncated


def test_an_alias_that_goes_round_in_circles_has_no_address() -> None:
    wire = reply("a.test", "A", ("a.test.", "CNAME", "b.test."), ("b.test.", "CNAME", "a.test."))
    assert decode_reply(wire, "a.test", A).addresses == ()


@pytest.mark.parametrize(
    "wire",
    [
        b"", b"\0" * 11, encode_query(1, "x.test", A), reply("y.test", "A"), reply("x.test", "AAAA"),
        reply("x.test", "A", ("x.test.", "A", "10.0.0.1"))[:-3],
    ],
    ids=["empty", "short", "a query", "other name", "other type", "cut"],
)  # fmt: skip
def test_stray_packets_are_no_answer(wire: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_reply(wire, "x.test", A)


@given(st.binary(max_size=200))
def test_garbage_after_the_question_never_breaks_out(garbage: bytes) -> None:
    head = bytearray(encode_query(1, "x.test", A))
    head[2] |= 0x80
    head[7] = 3
    with suppress(BadMessage):
        decode_reply(bytes(head) + garbage, "x.test", A)


def test_values_of_every_type() -> None:
    wire = reply("x.test", "MX", ("x.test.", "MX", "10 mail.x.test."), ("x.test.", "TXT", '"no"'))
    assert values(decode_reply(wire, "x.test", dnswire.MX), dnswire.MX) == ["10 mail.x.test"]
    wire = reply("x.test", "TXT", ("x.test.", "TXT", '"v=spf1 -all"'))
    assert values(decode_reply(wire, "x.test", dnswire.TXT), dnswire.TXT) == ['"v=spf1 -all"']
    wire = reply("x.test", "CAA", ("x.test.", "CAA", '0 issue "ca.test"'))
    assert values(decode_reply(wire, "x.test", dnswire.CAA), dnswire.CAA) == ['0 issue "ca.test"']


def test_reverse_names() -> None:
    assert question_name("192.0.2.1", dnswire.PTR) == "1.2.0.192.in-addr.arpa"
    assert question_name("X.test.", dnswire.PTR) == "x.test"
    assert question_name("192.0.2.1", dnswire.A) == "192.0.2.1"
