import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_prober import names
from farwatch_prober.names import ResolverConfig, candidates, parse_hosts, parse_literal, parse_resolv_conf, to_ascii
from farwatch_prober.outcome import ProbeFailure


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), ("::FFFF:127.0.0.1", "::ffff:127.0.0.1"),
        ("2130706433", "127.0.0.1"), ("0x7f000001", "127.0.0.1"), ("0X7F.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"), ("127.0.1", "127.0.0.1"), ("10.0x10", "10.0.0.16"), ("0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"), ("127.0.0.1.", "127.0.0.1"),
    ],
)  # fmt: skip
def test_literals_in_every_form_the_c_library_dials(host: str, address: str) -> None:
    assert ipaddress.ip_address(str(parse_literal(host))) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "1.2.3.4.5",
        "256.1.1.1",
        "4294967296",
        "1.2.3.256",
        "1.16777216",
        "08.1.1.1",
        "a.1",
        "1..2",
        "",
    ],
)
def test_names_are_no_literals(host: str) -> None:
    assert parse_literal(host) is None


@given(st.ip_addresses(v=4))
def test_a_number_means_the_address(address: ipaddress.IPv4Address) -> None:
    assert parse_literal(str(int(address))) == str(address)
    assert parse_literal(hex(int(address))) == str(address)


def test_idn_and_case() -> None:
    assert to_ascii("Bücher.Example") == "xn--bcher-kva.example"
    assert to_ascii("EXAMPLE.com.") == "example.com."
    assert to_ascii("_dmarc.example.com") == "_dmarc.example.com"


@pytest.mark.parametrize("host", ["a..b", "", ".", "x" * 64 + ".com", ".".join(["x" * 60] * 5), "\u200d.example"])
def test_impossible_names(host: str) -> None:
    with pytest.raises(ProbeFailure, match="not a possible host name"):
        to_ascii(host)


def test_candidates_follow_ndots_and_search() -> None:
    config = ResolverConfig((), ("svc.local", "local"), ndots=2)
    assert candidates("web", config) == ["web.svc.local", "web.local", "web"]
    assert candidates("a.b.c", config) == ["a.b.c", "a.b.c.svc.local", "a.b.c.local"]
    assert candidates("web.", config) == ["web"]
    assert candidates("web", ResolverConfig(())) == ["web"]


def test_resolv_conf() -> None:
    text = """
    # a comment
    nameserver 10.0.0.1 ; another
    nameserver fd00::53
    nameserver nonsense
    nameserver 10.0.0.3
    nameserver 10.0.0.4
    search Example.com. corp
    options ndots:5 timeout:1 rotate
    """
    assert parse_resolv_conf(text) == ResolverConfig(
        (("10.0.0.1", 53), ("fd00::53", 53), ("10.0.0.3", 53)), ("example.com", "corp"), 5
    )
    assert parse_resolv_conf("") == ResolverConfig((("127.0.0.1", 53),))


def test_hosts_file() -> None:
    hosts = parse_hosts("127.0.0.1 localhost Box # me\n::1 localhost\nbad line\n10.0.0.1\n127.0.0.1 localhost\n")
    assert hosts == {"localhost": ("127.0.0.1", "::1"), "box": ("127.0.0.1",)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1.1.1.1", ("1.1.1.1", 53)), ("1.1.1.1:5353", ("1.1.1.1", 5353)), ("::1", ("::1", 53)), ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)), ("ns.example", ("ns.example", 53)), ("ns.example:5353", ("ns.example", 5353)),
    ],
)  # fmt: skip
def test_servers(text: str, place: tuple[str, int]) -> None:
    assert names.split_host_port(text, 53) == place


@pytest.mark.parametrize("text", ["1.1.1.1:", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1.1:x", ":53", "a:b:c", "[::1]:"])
def test_bad_servers(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address or address:port"):
        names.split_host_port(text, 53)
