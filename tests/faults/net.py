"""Network namespaces joined to ours by pairs of virtual cables that can be pulled. Root with iproute2 only."""

import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

_numbers = itertools.count()


_NOBODY = "02:00:00:00:00:01"


@dataclass(frozen=True)
class Cable:
    """From us (`here`, on `device`) into the namespace (`there`)."""

    space: str
    device: str
    inner: str
    here: str
    there: str

    def cut(self) -> Callable[[], AbstractAsyncContextManager[object]]:
        """The fault: packets go to a network card that nobody has, so they vanish in silence both ways."""

        ends: tuple[tuple[tuple[str, ...], str, str], ...]
        ends = ((("-n", self.space), self.here, self.inner), ((), self.there, self.device))

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            for where, peer, device in ends:
                _ip(*where, "neigh", "replace", peer, "lladdr", _NOBODY, "dev", device, "nud", "permanent")
            try:
                yield
            finally:
                for where, peer, device in ends:
                    _ip(*where, "neigh", "del", peer, "dev", device)

        return fault


@dataclass(frozen=True)
class Namespace:
    name: str
    cables: tuple[Cable, ...]

    def command(self, *argv: str) -> list[str]:
        """`ip netns exec` becomes the program, so its pid is the program's."""
        return ["ip", "netns", "exec", self.name, *argv]


@contextmanager
def namespace(cables: int) -> Iterator[Namespace]:
    """Skips the test where that is not allowed. With it go its ends of the cables, and so ours."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    number = next(_numbers)
    name = f"fw{os.getpid()}n{number}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"network namespaces are not to be had: {made.stderr.strip()}")
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        yield Namespace(name, tuple(_cable(name, number, each) for each in range(cables)))
    finally:
        _ip("netns", "del", name)


def _cable(name: str, number: int, index: int) -> Cable:
    device, inner = f"fw{os.getpid() % 100000}a{number}{index}", f"in{index}"
    net = f"10.{231 + index}.{os.getpid() % 250}.{number * 4 % 252}"  # each cable leads into a network of its own
    prefix, _, last = net.rpartition(".")
    here, there = f"{prefix}.{int(last) + 1}", f"{prefix}.{int(last) + 2}"
    _ip("link", "add", device, "type", "veth", "peer", "name", inner, "netns", name)
    _ip("addr", "add", f"{here}/30", "dev", device)
    _ip("link", "set", device, "up")
    _ip("-n", name, "addr", "add", f"{there}/30", "dev", inner)
    _ip("-n", name, "link", "set", inner, "up")
    return Cable(name, device, inner, here, there)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)
