"""Names to addresses for probes: always asked anew, without threads, so that no slow name holds up another."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from farwatch_events.results import ErrorClass
from farwatch_prober import dnswire, names
from farwatch_prober.nameserver import NameServer, ServerFault
from farwatch_prober.outcome import ProbeFailure, in_words

Family = Literal["any", "ipv4", "ipv6"]

HEDGE_AFTER_SECONDS = 1.0
LOOKUP_SECONDS = 15.0
"""The end of a lookup that several checks may be waiting for; each check has its own, earlier deadline."""
OTHER_FAMILY_SECONDS = 0.05
"""How long an address of one family waits for the other's (RFC 8305, resolution delay)."""
RELOAD_SECONDS = 5.0
MAX_FOREIGN_SERVERS = 256
LOCALHOST = ("127.0.0.1", "::1")
FAMILY_TYPES: dict[Family, tuple[int, ...]] = {
    "any": (dnswire.AAAA, dnswire.A),
    "ipv4": (dnswire.A,),
    "ipv6": (dnswire.AAAA,),
}


class SystemFiles:
    """/etc/hosts and /etc/resolv.conf, read again when they change."""

    def __init__(
        self,
        servers: Sequence[tuple[str, int]] = (),
        hosts_path: Path = Path("/etc/hosts"),
        resolv_conf_path: Path = Path("/etc/resolv.conf"),
    ) -> None:
        self._servers = tuple(servers)
        self._hosts_path, self._resolv_conf_path = hosts_path, resolv_conf_path
        self._stamp: tuple[object, ...] = ()
        self._looked_at = float("-inf")
        self.hosts: names.Hosts = {}
        self.config = names.ResolverConfig(self._servers)

    def refresh(self, now: float) -> None:
        """Looks at the files every RELOAD_SECONDS at most; `now` is the loop's time."""
        if now - self._looked_at < RELOAD_SECONDS:
            return
        self._looked_at = now
        stamp = (_stamp(self._hosts_path), _stamp(self._resolv_conf_path))
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self.hosts = names.parse_hosts(_text(self._hosts_path))
        config = names.parse_resolv_conf(_text(self._resolv_conf_path))
        self.config = names.ResolverConfig(self._servers or config.servers, config.search, config.ndots)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


class Resolver:
    def __init__(self, files: SystemFiles, source_address: str | None = None) -> None:
        self._files = files
        self._source_address = source_address
        self._servers: dict[tuple[str, int], NameServer] = {}
        self._asked: dict[tuple[str, int], NameServer] = {}
        self._lookups: dict[tuple[str, int], asyncio.Task[dnswire.Reply]] = {}
        self._background: set[asyncio.Task[object]] = set()

    def servers(self) -> list[NameServer]:
        """The configured name servers, those that stayed silent last."""
        self._files.refresh(asyncio.get_running_loop().time())
        return sorted(map(self._server, self._files.config.servers), key=lambda server: server.suspect)

    def _server(self, place: tuple[str, int]) -> NameServer:
        server = self._servers.get(place)
        if server is None:
            server = self._servers[place] = NameServer(*place, self._source_address)
        return server

    def local_answer(self, host: str, family: Family) -> list[str] | None:
        """The addresses of a literal or of a name in the hosts file, None when a name server has to be asked."""
        if (literal := names.parse_literal(host)) is not None:
            return [literal]
        self._files.refresh(asyncio.get_running_loop().time())
        name = names.to_ascii(host).removesuffix(".")
        known = self._files.hosts.get(name)
        if known is None and (name == "localhost" or name.endswith(".localhost")):  # RFC 6761
            known = LOCALHOST
        return None if known is None else [address for address in known if _fits(address, family)]

    async def addresses(self, host: str, family: Family, deadline: float) -> list[str]:
        """IPv6 first when both exist. `deadline` is the loop's time. Raises ProbeFailure (dns, internal)."""
        local = self.local_answer(host, family)
        if local is None:
            local = await self._look_up(host, family, deadline)
        elif local and not _fits(local[0], family):
            raise ProbeFailure(ErrorClass.DNS, f"{host} is not an {_family_name(family)} address")
        if not local:
            raise ProbeFailure(ErrorClass.DNS, f"{host} has no {_family_name(family)} address")
        return local

    async def ask(self, name: str, record_type: int, deadline: float) -> dnswire.Reply:
        """The answer of the first configured server that has one, NXDOMAIN included. Raises ProbeFailure."""
        lookup = self._lookups.get((name, record_type))
        if lookup is None:
            lookup = asyncio.create_task(self._hedged(name, record_type))
            self._lookups[name, record_type] = lookup
            lookup.add_done_callback(partial(self._looked_up, (name, record_type)))
        patience = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.wait((lookup,), timeout=patience)
        if not lookup.done():
            waited = in_words(patience)
            raise ProbeFailure(ErrorClass.DNS, f"No name server answered for {name} within {waited}")
        try:
            return lookup.result()
        except ServerFault as fault:
            error_class = ErrorClass.INTERNAL if fault.busy else ErrorClass.DNS
            raise ProbeFailure(error_class, f"{name} could not be looked up: {fault}") from None

    async def ask_server(
        self, address: str, port: int, name: str, record_type: int, timeout_seconds: float, *, by_tcp: bool = False
    ) -> dnswire.Reply:
        """As a dns check asks one server of its choice. Raises ServerFault."""
        server = self._asked.pop((address, port), None) or NameServer(address, port, self._source_address)
        self._asked[address, port] = server
        if len(self._asked) > MAX_FOREIGN_SERVERS:
            idle = next(
                (place for place, known in self._asked.items() if known is not server and not known.outstanding), None
            )
            if idle is not None:
                self._asked.pop(idle).close()
        return await server.ask(name, record_type, timeout_seconds, by_tcp=by_tcp)

    def _looked_up(self, key: tuple[str, int], lookup: asyncio.Task[dnswire.Reply]) -> None:
        self._lookups.pop(key, None)
        _abandon(lookup)

    async def _look_up(self, host: str, family: Family, deadline: float) -> list[str]:
        asked = names.candidates(names.to_ascii(host), self._files.config)
        missing = f"The name {host} does not exist"
        for name in asked:
            found, why = await self._both_families(name, family, deadline)
            if found:
                return found
            missing = f"{host} {why}" if why else missing
        raise ProbeFailure(ErrorClass.DNS, missing)

    async def _both_families(self, name: str, family: Family, deadline: float) -> tuple[list[str], str]:
        """The addresses; without any why there are none, "" when there is no such name."""
        if family != "any":
            reply = await self.ask(name, FAMILY_TYPES[family][0], deadline)
            return list(_usable(reply, name)), _why_none(reply, family)
        asked = [asyncio.ensure_future(self.ask(name, kind, deadline)) for kind in FAMILY_TYPES["any"]]
        try:
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            if waiting and any(_has_address(task) for task in done):
                await asyncio.wait(waiting, timeout=OTHER_FAMILY_SECONDS)
            elif waiting:
                await asyncio.wait(waiting)
            return _merged([task for task in asked if task.done()], name)
        finally:
            for task in asked:
                _abandon(task)

    async def _hedged(self, name: str, record_type: int) -> dnswire.Reply:
        """One server after the other: the next at once after a failure, and beside a silent one after a second."""
        order = self.servers()
        running: dict[asyncio.Task[dnswire.Reply], NameServer] = {}
        faults: list[str] = []
        busy = False
        waiting = iter(order)
        self._start_next(waiting, running, name, record_type)
        self._retry_suspects(order[1:], name, record_type)
        try:
            while running:
                done, _ = await asyncio.wait(running, timeout=HEDGE_AFTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    server = running.pop(task)
                    fault = task.exception()
                    if isinstance(fault, ServerFault):
                        faults.append(f"{server} {fault}")
                        busy = busy or fault.busy
                    elif (reply := task.result()).rcode in (dnswire.NOERROR, dnswire.NXDOMAIN):
                        return reply
                    else:
                        faults.append(f"{server} answered {dnswire.rcode_name(reply.rcode)}")
                if not done:
                    _mark_silent(running)
                self._start_next(waiting, running, name, record_type)
        finally:
            for task in running:
                task.cancel()
        raise ServerFault("; ".join(faults) or "no name server is configured", busy=busy)

    def _start_next(
        self,
        waiting: Iterator[NameServer],
        running: dict[asyncio.Task[dnswire.Reply], NameServer],
        name: str,
        record_type: int,
    ) -> None:
        if (server := next(waiting, None)) is not None:
            running[asyncio.create_task(server.ask(name, record_type, LOOKUP_SECONDS))] = server

    def _retry_suspects(self, servers: Sequence[NameServer], name: str, record_type: int) -> None:
        """Asks a silent server along, so that its first answer brings it back without delaying anybody."""
        for server in servers:
            if server.suspect and server.outstanding == 0:
                task: asyncio.Task[object] = asyncio.create_task(_ask_quietly(server, name, record_type))
                self._background.add(task)
                task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        tasks = [*self._lookups.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in (*self._servers.values(), *self._asked.values()):
            server.close()


async def _ask_quietly(server: NameServer, name: str, record_type: int) -> None:
    with suppress(ServerFault):
        await server.ask(name, record_type, LOOKUP_SECONDS)


def _mark_silent(running: dict[asyncio.Task[dnswire.Reply], NameServer]) -> None:
    for server in running.values():
        server.suspect = True


def _fits(address: str, family: Family) -> bool:
    return family == "any" or (":" in address) == (family == "ipv6")


def _family_name(family: Family) -> str:
    return {"any": "IP", "ipv4": "IPv4", "ipv6": "IPv6"}[family]


def _usable(reply: dnswire.Reply, name: str) -> tuple[str, ...]:
    if reply.rcode not in (dnswire.NOERROR, dnswire.NXDOMAIN):
        raise ProbeFailure(ErrorClass.DNS, f"{name} could not be looked up: {dnswire.rcode_name(reply.rcode)}")
    return reply.addresses


def _has_address(task: "asyncio.Future[dnswire.Reply]") -> bool:
    return task.exception() is None and bool(task.result().addresses)


def _why_none(reply: dnswire.Reply, family: Family) -> str:
    """The end of a sentence that begins with the host; "" when the name does not exist."""
    if reply.alias is None:
        return "" if reply.rcode == dnswire.NXDOMAIN else f"has no {_family_name(family)} address"
    if not reply.alias:
        return "has aliases that go round in circles"
    lacking = "does not exist" if reply.rcode == dnswire.NXDOMAIN else f"has no {_family_name(family)} address"
    return f"is an alias for {reply.alias[:200]}, which {lacking}"


def _merged(done: Sequence["asyncio.Future[dnswire.Reply]"], name: str) -> tuple[list[str], str]:
    """Addresses of whichever family has some; the first failure when none has."""
    found: list[str] = []
    failure: BaseException | None = None
    why = ""
    for task in done:
        if (error := task.exception()) is not None:
            failure = failure or error
            continue
        found += _usable(task.result(), name)
        if not why or task.result().alias is not None:  # the chain of aliases tells more than its absence
            why = _why_none(task.result(), "any")
    if not found and failure is not None:
        raise failure
    return found, why


def _abandon(task: "asyncio.Future[dnswire.Reply]") -> None:
    """Cancels it, or takes note of its exception so that nobody complains of one never seen."""
    if not task.cancel() and not task.cancelled():
        task.exception()
