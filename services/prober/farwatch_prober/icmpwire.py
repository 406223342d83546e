"""ICMP echo messages (RFC 792, RFC 4443). Pure."""

import struct
from dataclasses import dataclass

_ECHO = struct.Struct("!BBHHH")
_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_ERRORS = {4: frozenset({3, 11}), 6: frozenset({1, 2, 3})}
_IPV6_HEADER = 40


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply to an echo request, or the report of a router (`is_error`) that it could not be delivered."""

    identifier: int
    sequence: int
    payload: bytes
    is_error: bool = False


def checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def encode_request(version: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """`version` is 4 or 6. The kernel fills in the checksum of ICMPv6 itself."""
    kind = _REQUEST[version]
    bare = _ECHO.pack(kind, 0, 0, identifier, sequence) + payload
    return _ECHO.pack(kind, 0, checksum(bare), identifier, sequence) + payload


def decode(version: int, data: bytes, *, has_ip_header: bool) -> Echo | None:
    """What a received packet says about one of our requests, None for any other packet."""
    try:
        if has_ip_header:
            data = data[(data[0] & 0x0F) * 4 :]
        kind, _, _, identifier, sequence = _ECHO.unpack_from(data)
        if kind == _REPLY[version]:
            return Echo(identifier, sequence, data[_ECHO.size :])
        if kind in _ERRORS[version]:
            return _decode_original(version, data[_ECHO.size :])
    except (struct.error, IndexError):
        pass
    return None


def _decode_original(version: int, packet: bytes) -> Echo | None:
    """The request that a router's report quotes."""
    header = (packet[0] & 0x0F) * 4 if version == 4 else _IPV6_HEADER
    kind, _, _, identifier, sequence = _ECHO.unpack_from(packet, header)
    if kind != _REQUEST[version]:
        return None
    return Echo(identifier, sequence, packet[header + _ECHO.size :], is_error=True)
