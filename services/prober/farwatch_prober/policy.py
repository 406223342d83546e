"""Which addresses may be probed. Pure: it sees the address that is about to be dialled, never a name."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address
Address = IPv4 | IPv6
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


NAMED_NETWORKS: dict[str, tuple[Network, ...]] = {
    "loopback": networks("127.0.0.0/8", "::1/128"),
    "private": networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""Words that FARWATCH_PROBE_DENY and _ALLOW take beside networks."""

ALWAYS_DENIED: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("a cloud metadata address", networks(
        "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
        "fd00:ec2::254/128", "fd20:ce::254/128",
    )),
    ("a link-local address", networks("169.254.0.0/16", "fe80::/10")),
    ("a multicast address", networks("224.0.0.0/4", "ff00::/8")),
    ("an unspecified address", networks("0.0.0.0/8", "::/128")),
    ("the broadcast address", networks("255.255.255.255/32")),
)  # fmt: skip

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks, single addresses and the words of NAMED_NETWORKS. Raises ValueError that names the bad one."""
    parsed: list[Network] = []
    for text in texts:
        try:
            parsed += NAMED_NETWORKS.get(text.lower()) or (ipaddress.ip_network(text, strict=False),)
        except ValueError:
            words = ", ".join(NAMED_NETWORKS)
            raise ValueError(f"{text!r} is no network such as 10.0.0.0/8 and none of: {words}") from None
    return tuple(parsed)


_ENDPOINT = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})$")


def parse_denied(texts: Iterable[str]) -> tuple[tuple[Network, ...], tuple[tuple[str, int], ...]]:
    """As parse_networks, and beside them single servers as host:port. Raises ValueError that names the bad one."""
    nets: list[str] = []
    servers: list[tuple[str, int]] = []
    for text in texts:
        found = _ENDPOINT.match(text)
        if found is not None and 1 <= int(found[2]) <= 65535:
            servers.append((found[1].strip("[]"), int(found[2])))
        else:
            nets.append(text)
    return parse_networks(nets), tuple(servers)


class AddressPolicy:
    """`allow` makes exceptions from `deny`; what is always denied has none. `own` are endpoints of Farwatch itself."""

    def __init__(
        self,
        deny: Iterable[Network] = (),
        allow: Iterable[Network] = (),
        own: Iterable[tuple[str, int]] = (),
    ) -> None:
        self._deny = tuple(deny)
        self._allow = tuple(allow)
        self._own = frozenset((ipaddress.ip_address(address), port) for address, port in own)
        self._cached = lru_cache(maxsize=4096)(self._decide)

    def refusal(self, address: str, port: int | None = None) -> str | None:
        """Why this address must not be dialled, None when it may."""
        return self._cached(address, port if self._own else None)

    def _decide(self, text: str, port: int | None) -> str | None:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return f"{text} is not an address"
        for form in every_form(address):
            shown = text if form == address else f"{text} stands for {form}, which"
            if (reason := self._reason(form, port)) is not None:
                return f"{shown} {reason}"
        return None

    def _reason(self, address: Address, port: int | None) -> str | None:
        for what, nets in ALWAYS_DENIED:
            if _within(address, nets) is not None:
                return f"is {what}, which is never probed"
        if port is not None and (address, port) in self._own:
            return "is a server of Farwatch itself, which is never probed"
        if (network := _within(address, self._deny)) is None or _within(address, self._allow) is not None:
            return None
        return f"is in {network}, which FARWATCH_PROBE_DENY closes"


def _within(address: Address, nets: Iterable[Network]) -> Network | None:
    return next((net for net in nets if net.version == address.version and address in net), None)


def every_form(address: Address) -> Iterator[Address]:
    """The address and each IPv4 address that its IPv6 form stands for (mapped, 6to4, Teredo, NAT64, ISATAP)."""
    if isinstance(address, IPv4):
        yield address
        return
    plain = IPv6(int(address))  # without the scope, which no network holds
    yield plain
    yield from dict.fromkeys(_embedded(plain))


def _embedded(address: IPv6) -> Iterator[IPv4]:
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and number > 0xFFFF):
        yield IPv4(number & 0xFFFFFFFF)
    if address in _NAT64_LOCAL:  # RFC 6052, figure 1: a /48 prefix puts bits 64 to 71 between the halves
        yield IPv4((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
        yield IPv4(number & 0xFFFFFFFF)
    if (number >> 32 & 0xFFFFFFFF) in (0x00005EFE, 0x02005EFE):  # ISATAP, RFC 5214
        yield IPv4(number & 0xFFFFFFFF)
