"""DNS messages (RFC 1035): the few lines of it that looking up addresses takes. Pure.

c-ares keeps answers for their TTL and its Python bindings cannot switch that off, while a check must see
what the name servers say now.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from farwatch_prober.policy import IPv4, IPv6

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, CAA = 1, 2, 5, 6, 12, 15, 16, 28, 33, 257
RECORD_TYPES: Mapping[str, int] = MappingProxyType(
    {
        "A": A,
        "AAAA": AAAA,
        "CNAME": CNAME,
        "MX": MX,
        "NS": NS,
        "TXT": TXT,
        "SRV": SRV,
        "SOA": SOA,
        "CAA": CAA,
        "PTR": PTR,
    }
)

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_QUESTION = struct.Struct("!HH")
_MAX_CNAMES = 16
_MAX_JUMPS = 64


class BadMessage(ValueError):
    """Bytes that are no answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `addresses` follow the chain of aliases from the name asked for; `wire` is all of it.

    `alias` is where a chain ends that leads to no address: "" when it goes round in circles, None without a chain.
    """

    rcode: int
    truncated: bool
    addresses: tuple[str, ...]
    wire: bytes
    alias: str | None = None


def rcode_name(rcode: int) -> str:
    return RCODES.get(rcode, f"code {rcode}")


def encode_name(name: str) -> bytes:
    """Length-prefixed labels. The name is ASCII with labels of 1 to 63 (names.to_ascii sees to it)."""
    if not name:
        return b"\0"
    return b"".join(bytes((len(label),)) + label for label in name.encode("ascii").split(b".")) + b"\0"


def encode_query(message_id: int, name: str, record_type: int) -> bytes:
    """A recursive query without EDNS, which some home routers still drop."""
    return _HEADER.pack(message_id, 0x0100, 1, 0, 0, 0) + encode_name(name) + _QUESTION.pack(record_type, 1)


def message_id(wire: bytes) -> int:
    """Raises BadMessage for fewer bytes than a header."""
    if len(wire) < _HEADER.size:
        raise BadMessage("shorter than a header")
    return int.from_bytes(wire[:2], "big")


def decode_reply(wire: bytes, name: str, record_type: int) -> Reply:
    """The reply to this question. Raises BadMessage for anything else, so that a stray packet changes nothing."""
    try:
        return _decode(wire, name, record_type)
    except (struct.error, IndexError) as error:
        raise BadMessage(f"broken message: {error}") from None


def _decode(wire: bytes, name: str, record_type: int) -> Reply:
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(wire)
    if not flags & 0x8000:
        raise BadMessage("not an answer")
    rcode, truncated = flags & 0xF, bool(flags & 0x0200)
    if questions == 0 and rcode not in (NOERROR, NXDOMAIN):  # some servers refuse without repeating the question
        return Reply(rcode, truncated, (), wire)
    offset = _check_question(wire, questions, name, record_type)
    if rcode not in (NOERROR, NXDOMAIN) or truncated or record_type not in (A, AAAA):
        return Reply(rcode, truncated, (), wire)
    found, alias = _addresses(wire, offset, answers, name.lower(), record_type)
    return Reply(rcode, truncated, found if rcode == NOERROR else (), wire, alias)


def _check_question(wire: bytes, questions: int, name: str, record_type: int) -> int:
    asked = encode_name(name) + _QUESTION.pack(record_type, 1)
    end = _HEADER.size + len(asked)
    if questions != 1 or wire[_HEADER.size : end].lower() != asked.lower():
        raise BadMessage("an answer to another question")
    return end


def _addresses(wire: bytes, offset: int, count: int, name: str, record_type: int) -> tuple[tuple[str, ...], str | None]:
    """Those at the end of the chain of aliases; without any, where it ended."""
    aliases: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for _ in range(count):
        owner, offset = _read_name(wire, offset)
        kind, _class, _ttl, length = _RECORD.unpack_from(wire, offset)
        offset += _RECORD.size
        data = wire[offset : offset + length]
        if len(data) != length:
            raise BadMessage("a record that runs past the end")
        if kind == CNAME:
            aliases[owner] = _read_name(wire, offset)[0]
        elif kind == record_type and length == (4 if kind == A else 16):
            found.setdefault(owner, []).append(str(IPv4(data) if kind == A else IPv6(data)))
        offset += length
    end = name
    for _ in range(_MAX_CNAMES):
        if end in found or end not in aliases:
            break
        end = aliases[end]
    if end in found:
        return tuple(dict.fromkeys(found[end])), None
    if end == name and end not in aliases:
        return (), None
    return (), "" if end in aliases else end


def _read_name(wire: bytes, offset: int) -> tuple[str, int]:
    """The name at `offset`, in lower case, and where the next field starts."""
    labels: list[bytes] = []
    end = -1
    for _ in range(_MAX_JUMPS):
        length = wire[offset]
        if length >= 0xC0:
            end = offset + 2 if end < 0 else end
            offset = (length & 0x3F) << 8 | wire[offset + 1]
        elif length == 0:
            return b".".join(labels).decode("latin-1").lower(), offset + 1 if end < 0 else end
        else:
            labels.append(wire[offset + 1 : offset + 1 + length])
            offset += 1 + length
    raise BadMessage("a name that loops")
