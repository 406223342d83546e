"""Ways to write an address so that a filter reads one thing and a socket dials another."""

import ipaddress
from collections.abc import Iterator

FULL_WIDTH = str.maketrans("0123456789abcdefx.", "０１２３４５６７８９ａｂｃｄｅｆｘ．")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
BOLD = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")

TARGETS = (
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.9.9",
    "100.64.0.1",
    "169.254.169.254",
    "0.0.0.0",
)
"""All of them closed by what always is and by FARWATCH_PROBE_DENY=loopback,private."""


def ipv4_spellings(address: str) -> Iterator[str]:
    """The old forms of inet_aton(3), a final dot, digits that IDN maps to ASCII, and encoded ones."""
    a, b, c, d = (int(part) for part in address.split("."))
    number = int(ipaddress.IPv4Address(address))
    yield address
    yield f"{address}."
    yield f"{number}"
    yield f"{number:#x}"
    yield f"{number:#X}"
    yield f"0{number:o}"
    yield f"{a:#x}.{b:#x}.{c:#x}.{d:#x}"
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"000{a:o}.00{b:o}.0{c:o}.0000{d:o}"
    yield f"{a}.{(b << 16) | (c << 8) | d}"
    yield f"{a}.{b}.{(c << 8) | d}"
    yield f"{a:#x}.{(b << 16) | (c << 8) | d}"
    yield f"0{a:o}.{b:#x}.{(c << 8) | d:#x}"
    yield f"{a:#x}.{b}.0{c:o}.{d}"
    yield address.translate(FULL_WIDTH)
    yield address.translate(CIRCLED)
    yield address.translate(BOLD)
    yield address.replace(".", "。")
    yield address.replace(".", "｡")
    yield f"{number:#x}".translate(FULL_WIDTH)


def ipv6_spellings(address: str) -> Iterator[str]:
    """IPv6 addresses that stand for the IPv4 address (RFC 4291, 3056, 4380, 5214, 6052, 2765)."""
    a, b, c, d = (int(part) for part in address.split("."))
    high, low = (a << 8) | b, (c << 8) | d
    yield f"[::ffff:{address}]"
    yield f"[::FFFF:{high:x}:{low:x}]"
    yield f"[0:0:0:0:0:ffff:{high:x}:{low:x}]"
    yield f"[0000:0000:0000:0000:0000:ffff:{address}]"
    yield f"[2002:{high:x}:{low:x}::1]"
    yield f"[64:ff9b::{address}]"
    yield f"[64:ff9b::{high:x}:{low:x}]"
    yield f"[64:ff9b:1::{high:x}:{low:x}]"
    yield f"[::ffff:0:{address}]"
    yield f"[2001:0:{high:x}:{low:x}::]"
    yield f"[2001:db8::5efe:{address}]"
    yield f"[2001:0:1::{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}]"
    if high:
        yield f"[::{address}]"


OTHERS = (
    "[::1]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]", "[fe80::1]", "[fe80::1%25lo]",
    "[fe80::1%lo]", "[::1%25lo]", "[ff02::1]", "[fd00::1]", "[fc00::1]", "[fd00:ec2::254]", "127.0.0.1%2e",
    "%31%32%37.0.0.1", "127.0.0.1%00.test", "localhost", "LOCALHOST", "localhost.", "a.localhost", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "127.0.0.1.", "127.1", "127.0.1", "0", "0x0", "00", "0.0", "255.255.255.255", "224.0.0.1",
)  # fmt: skip


def every_host() -> list[str]:
    hosts = [spelling for target in TARGETS for spelling in (*ipv4_spellings(target), *ipv6_spellings(target))]
    return list(dict.fromkeys([*hosts, *OTHERS]))
