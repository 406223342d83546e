"""When packets of one port passed the loopback interface, by the kernel's own clock. Needs root."""

import ctypes
import re
import socket
import struct
from dataclasses import dataclass

_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_ETH_P_IP = 0x0800
_PACKET_OUTGOING = 4
_SYN, _ACK = 0x02, 0x10
_NUMBER = re.compile(rb"^GET [^ ?]*\?(\d+) ")


@dataclass(slots=True)
class Passage:
    """One connection, in seconds: from SYN to SYN-ACK, from the request to the answer's first packet, and from SYN to
    that packet, which also holds what the client took to send its request."""

    number: int
    connect_seconds: float
    answer_seconds: float
    whole_seconds: float


@dataclass(slots=True)
class _Flow:
    syn: float
    syn_ack: float = 0.0
    request: float = 0.0
    number: int = 0


class Wire:
    """Passages of connections to `port` that carried a request `GET /…?number`, in the order of their answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._flows: dict[int, _Flow] = {}
        self.passages: list[Passage] = []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _attach(self.socket, port)
        self.socket.bind(("lo", _ETH_P_IP))

    def read(self) -> None:
        """Takes what has passed since; to be called whenever the socket is readable."""
        while True:
            try:
                data, stamps, _, sender = self.socket.recvmsg(512, 64)
            except BlockingIOError:
                return
            if sender[2] != _PACKET_OUTGOING and stamps:
                seconds, nanoseconds = struct.unpack("qq", stamps[0][2])
                self._take(data[14:], seconds + nanoseconds / 1e9)

    def _take(self, packet: bytes, at: float) -> None:
        header = (packet[0] & 15) * 4
        source, target = struct.unpack_from("!HH", packet, header)
        start = header + (packet[header + 12] >> 4) * 4
        flags, has_data = packet[header + 13], struct.unpack_from("!H", packet, 2)[0] > start
        if target == self._port:
            self._from_client(source, flags, packet[start:] if has_data else b"", at)
        else:
            self._from_server(target, flags, at, has_data=has_data)

    def _from_client(self, port: int, flags: int, data: bytes, at: float) -> None:
        if flags & _SYN:
            self._flows[port] = _Flow(at)
        elif data and (flow := self._flows.get(port)) is not None and (found := _NUMBER.match(data)):
            flow.request, flow.number = at, int(found[1])

    def _from_server(self, port: int, flags: int, at: float, *, has_data: bool) -> None:
        flow = self._flows.get(port)
        if flow is None:
            return
        if flags & _SYN and flags & _ACK:
            flow.syn_ack = at
        elif has_data and flow.request:
            del self._flows[port]
            times = (flow.syn_ack - flow.syn, at - flow.request, at - flow.syn)
            self.passages.append(Passage(flow.number, *times))

    def close(self) -> None:
        self.socket.close()


def _attach(sock: socket.socket, port: int) -> None:
    """Has the kernel throw away all but TCP from and to the port (classic BPF, as `tcpdump -dd tcp port N` prints)."""
    program = [
        (0x28, 0, 0, 12), (0x15, 0, 10, _ETH_P_IP),
        (0x30, 0, 0, 23), (0x15, 0, 8, socket.IPPROTO_TCP),
        (0x28, 0, 0, 20), (0x45, 6, 0, 0x1FFF),
        (0xB1, 0, 0, 14), (0x48, 0, 0, 14), (0x15, 2, 0, port),
        (0x48, 0, 0, 16), (0x15, 0, 1, port),
        (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
