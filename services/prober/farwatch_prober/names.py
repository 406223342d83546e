"""Names and addresses as text: literals, IDN, hosts file, resolv.conf, the order of candidates. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import idna

from farwatch_events.results import ErrorClass
from farwatch_prober.outcome import ProbeFailure

MAX_NAME_SERVERS = 3
CACHED_NAMES = 16_384
"""Reading a name costs more than the rest of a check's own work; what it reads as never changes."""
DNS_PORT = 53

_NUMERIC_PART = re.compile(r"^(0[xX][0-9a-fA-F]*|\d+)$")


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """`servers` are (address, port), asked in this order. `search` and `ndots` as in resolv.conf(5)."""

    servers: tuple[tuple[str, int], ...]
    search: tuple[str, ...] = ()
    ndots: int = 1


Hosts = Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=CACHED_NAMES)
def parse_literal(host: str) -> str | None:
    """The address that `host` spells out, None when it is a name.

    Old forms that the C library still dials (octal, hexadecimal, one to four parts) count, so that the
    policy sees the address they mean.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return _parse_old_form(bare.rstrip("."))


def _parse_old_form(host: str) -> str | None:
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMERIC_PART.match(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (5 - len(parts)):
        return None
    value = last
    for place, number in enumerate(leading):
        value |= number << (24 - 8 * place)
    return str(ipaddress.IPv4Address(value))


def _number(part: str) -> int:
    if part[:2] in ("0x", "0X"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") and len(part) > 1 else int(part)


def to_ascii(host: str) -> str:
    """The name as DNS carries it, lower case; a final dot is kept. Raises ProbeFailure for an impossible name."""
    if host.isascii():
        name = host.lower()
    else:
        try:
            name = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise _impossible(host) from None
    labels = name.removesuffix(".").split(".")
    if len(name) > 254 or not all(0 < len(label) <= 63 for label in labels):
        raise _impossible(host)
    return name


def _impossible(host: str) -> ProbeFailure:
    return ProbeFailure(ErrorClass.DNS, f"{host[:100]} is not a possible host name")


def candidates(name: str, config: ResolverConfig) -> list[str]:
    """The full names to ask for, in order, as resolv.conf(5) tells."""
    if name.endswith("."):
        return [name[:-1]]
    searched = [f"{name}.{domain}" for domain in config.search]
    return [name, *searched] if name.count(".") >= config.ndots else [*searched, name]


def parse_hosts(text: str) -> Hosts:
    """Names to addresses of a hosts file; lines that make no sense are skipped as the C library does."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        try:
            canonical = str(ipaddress.ip_address(address))
        except ValueError:
            continue
        for alias in aliases:
            known = found.setdefault(alias.lower().removesuffix("."), [])
            if canonical not in known:
                known.append(canonical)
    return {name: tuple(addresses) for name, addresses in found.items()}


def parse_resolv_conf(text: str) -> ResolverConfig:
    """Servers, search list and ndots; the loopback server when none is named, as resolv.conf(5) says."""
    words = _ResolvConf()
    for line in text.splitlines():
        key, *values = line.partition("#")[0].partition(";")[0].split() or [""]
        words.take(key, values)
    servers = tuple(words.servers[:MAX_NAME_SERVERS]) or (("127.0.0.1", DNS_PORT),)
    return ResolverConfig(servers, words.search, words.ndots)


@dataclass(slots=True)
class _ResolvConf:
    servers: list[tuple[str, int]] = field(default_factory=list)
    search: tuple[str, ...] = ()
    ndots: int = 1

    def take(self, key: str, values: list[str]) -> None:
        match key:
            case "nameserver" if values and (address := _address(values[0])) is not None:
                self.servers.append((address, DNS_PORT))
            case "search" | "domain":
                self.search = tuple(value.lower().strip(".") for value in values if value.strip("."))[:6]
            case "options":
                for value in values:
                    if value.startswith("ndots:") and value[6:].isdigit():
                        self.ndots = min(int(value[6:]), 15)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def parse_servers(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Name servers as `address` or `address:port`, IPv6 with a port in brackets. Raises ValueError."""
    return tuple(split_host_port(text, DNS_PORT) for text in texts)


@lru_cache(maxsize=CACHED_NAMES)
def split_host_port(text: str, default_port: int) -> tuple[str, int]:
    """("1.1.1.1", 53) of "1.1.1.1", "1.1.1.1:53", "[::1]:53" or "::1". Raises ValueError that shows the text."""
    if (whole := _address(text.strip("[]"))) is not None:
        return whole, default_port
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, default_port
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not bracketed) or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not an address or address:port")
    return host.strip("[]"), int(port)
