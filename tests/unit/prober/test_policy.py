import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_prober.policy import ALWAYS_DENIED, NAMED_NETWORKS, AddressPolicy, every_form, parse_networks

OPEN = AddressPolicy()
CLOSED = AddressPolicy(deny=parse_networks(["loopback", "private"]), allow=parse_networks(["10.1.0.0/16"]))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "239.255.255.255", "0.0.0.0",
        "0.1.2.3", "255.255.255.255", "fe80::1", "fe80::1%eth0", "ff02::1", "::", "fd00:ec2::254",
        "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1::a9fe:a9fe", "::ffff:0:169.254.169.254", "2001:0:a9fe:a9fe::1",
        "fe80::5efe:a9fe:a9fe", "2001:db8::5efe:169.254.169.254", "2001:db8::200:5efe:169.254.169.254",
        "2001:0:1::5601:5601",
    ],
)  # fmt: skip
@pytest.mark.parametrize("policy", [OPEN, AddressPolicy(allow=parse_networks(["0.0.0.0/0", "::/0"]))])
def test_some_addresses_are_never_probed_in_whatever_form(policy: AddressPolicy, address: str) -> None:
    assert "never probed" in (policy.refusal(address) or "")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "8.8.8.8", "2606:4700::1111"]
)
def test_private_and_loopback_are_open_by_default(address: str) -> None:
    assert OPEN.refusal(address) is None


@pytest.mark.parametrize(
    ("address", "closed"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::7f00:1", True),
        ("10.0.0.1", True), ("10.1.0.1", False), ("::ffff:10.1.0.1", False), ("172.31.0.1", True),
        ("172.32.0.1", False),
        ("100.64.0.1", True), ("fd00::1", True), ("2002:7f00:1::", True), ("64:ff9b::10.0.0.1", True),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
    ],
)  # fmt: skip
def test_deny_closes_and_allow_makes_exceptions(address: str, closed: bool) -> None:
    refusal = CLOSED.refusal(address)
    assert (refusal is not None) == closed
    if closed:
        assert "FARWATCH_PROBE_DENY" in str(refusal)


def test_servers_of_farwatch_itself_are_closed_at_their_port() -> None:
    policy = AddressPolicy(own=[("127.0.0.1", 4222)])
    assert "Farwatch itself" in str(policy.refusal("127.0.0.1", 4222))
    assert "Farwatch itself" in str(policy.refusal("::ffff:127.0.0.1", 4222))
    assert policy.refusal("127.0.0.1", 80) is None
    assert policy.refusal("127.0.0.1") is None


def test_a_text_that_is_no_address_is_refused() -> None:
    assert OPEN.refusal("example.com") == "example.com is not an address"


def test_the_sentence_names_the_form_that_was_closed() -> None:
    assert OPEN.refusal("::ffff:169.254.169.254") == (
        "::ffff:169.254.169.254 stands for 169.254.169.254, which is a cloud metadata address, which is never probed"
    )


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "example.com", "privat"])
def test_bad_networks_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        parse_networks([text])


def test_networks_take_words_single_addresses_and_host_bits() -> None:
    assert parse_networks(["Loopback"]) == NAMED_NETWORKS["loopback"]
    assert [str(net) for net in parse_networks(["10.0.0.5", "10.0.0.5/8", "fd00::1"])] == [
        "10.0.0.5/32", "10.0.0.0/8", "fd00::1/128",
    ]  # fmt: skip


@given(st.ip_addresses(v=4))
def test_every_way_to_wrap_an_address_is_judged_as_the_address(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
        ipaddress.IPv6Address(0xFFFF0000 << 32 | number),
        ipaddress.IPv6Address(0x20010DB8 << 96 | 0x5EFE << 32 | number),
    ]
    for form in wrapped:
        assert address in list(every_form(form))
        if CLOSED.refusal(str(address)) is not None:
            assert CLOSED.refusal(str(form)) is not None


@given(st.ip_addresses())
def test_nothing_always_denied_gets_through(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    denied = any(address in net for _, nets in ALWAYS_DENIED for net in nets if net.version == address.version)
    if denied:
        assert OPEN.refusal(str(address)) is not None
