"""Puts a prober together and runs it."""

import asyncio
import os
import socket
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from farwatch_bus import Bus, BusClosed, BusError, Puller
from farwatch_events import subjects
from farwatch_events.checks import RegisterRegionRequest, Reply
from farwatch_prober import names
from farwatch_prober.authorities import Authorities
from farwatch_prober.canaries import Canaries, CanaryMetrics
from farwatch_prober.context import Tools
from farwatch_prober.curl import CurlEngine
from farwatch_prober.icmp import Pinger
from farwatch_prober.lag import LagMeter
from farwatch_prober.metrics import Metrics
from farwatch_prober.outbox import Outbox
from farwatch_prober.policy import AddressPolicy, parse_denied, parse_networks
from farwatch_prober.pulse import Identity, Pulse
from farwatch_prober.resolver import Resolver, SystemFiles
from farwatch_prober.runner import Runner
from farwatch_prober.secrets import Revealer
from farwatch_prober.settings import CANARIES_OFF, ProberSettings
from farwatch_prober.worker import Worker
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from farwatch_runtime.service import Service

RING_CREDIT = 8
"""Chunks on their way or waiting: little more than can be started at once, so that other probers get the rest."""
NOW_CREDIT = 64
RESERVED_SHARE = 10
"""One in so many of the places is kept for checks that must not wait behind the ring."""
REGISTER_TIMEOUT_SECONDS = 5.0
LONGEST_REGISTER_PAUSE_SECONDS = 5.0
FINISH_SECONDS = 4.5
STORE_SECONDS = 1.0
"""Together within the time that the runtime leaves a service to stop."""
MAX_QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Prober:
    """The parts of a running prober."""

    identity: Identity
    worker: Worker
    outbox: Outbox
    canaries: Canaries
    lag: LagMeter
    pulse: Pulse
    ring: Puller
    now: Puller

    async def finish(self) -> None:
        await self.worker.finish(FINISH_SECONDS, STORE_SECONDS, (self.now, self.ring))


async def build_tools(settings: ProberSettings, authorities: Authorities) -> Tools:
    servers = [
        (address, port)
        for host, port in names.parse_servers(settings.resolvers)
        for address in (await _addresses_at_start(host, port))[:1]
    ]
    denied, servers_denied = parse_denied(settings.probe_deny)
    policy = AddressPolicy(
        deny=denied,
        allow=parse_networks(settings.probe_allow),
        own=await _endpoints_at_start([*_nats_servers(settings.nats_url), *servers_denied]),
    )
    source = str(settings.probe_source_address) if settings.probe_source_address else None
    engine = CurlEngine(authorities.path, source)
    return Tools(Resolver(SystemFiles(servers), source), policy, engine, Pinger(source), source, authorities.path)


def _nats_servers(urls: str) -> list[tuple[str, int]]:
    places = [url.strip().rpartition("//")[2].rpartition("@")[2].rstrip("/") for url in urls.split(",")]
    return [names.split_host_port(place, 4222) for place in places]


async def _endpoints_at_start(servers: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(address, port) for host, port in servers for address in await _addresses_at_start(host, port)]


async def _addresses_at_start(host: str, port: int) -> list[str]:
    """By the system's resolver, which is good enough before there are checks to hold up; none when it fails."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def build_prober(bus: Bus, settings: ProberSettings, tools: Tools, metrics: Metrics, log: Any) -> Prober:
    box = SecretBox.from_file(settings.secret_key_file) if settings.secret_key_file else None
    identity = Identity(
        settings.region, f"{socket.gethostname()[:64]}-{os.getpid()}", version("farwatch-prober"), now_ms()
    )
    publisher, lag = bus.publisher(), LagMeter()
    canaries = Canaries(
        tools.resolver,
        [names.split_host_port(text, 0) for text in settings.canaries if text != CANARIES_OFF],
        enabled=CANARIES_OFF not in settings.canaries,
        log=log,
        policy=tools.policy,
        source_address=tools.source_address,
    )
    outbox = Outbox(publisher, identity.region, identity.prober, lambda: canaries.condition.healthy, log)
    runner = Runner(tools, Revealer(box), now_ms, log, lambda: lag.current_ms)
    worker = Worker(runner, outbox, metrics, settings.max_concurrency, now_ms, log, canaries.trusts, canaries.saw)
    pulse = Pulse(identity, publisher, worker, outbox, canaries, lag, metrics, now_ms)
    stream = subjects.checks_stream(identity.region)
    ring = bus.puller(stream, subjects.RING_DURABLE, credit=RING_CREDIT)
    now = bus.puller(stream, subjects.NOW_DURABLE, credit=NOW_CREDIT)
    return Prober(identity, worker, outbox, canaries, lag, pulse, ring, now)


async def register(bus: Bus, identity: Identity, stop: asyncio.Event, log: Any) -> bool:
    """Asks for the region's streams until they are there. False when the prober was told to stop before."""
    request = RegisterRegionRequest(region=identity.region, prober=identity.prober).to_bytes()
    pause = 0.2
    while not stop.is_set():
        try:
            answer = await bus.request(subjects.REGISTER_REGION_COMMAND, request, REGISTER_TIMEOUT_SECONDS)
            reply = Reply.from_bytes(answer)
            if reply.ok:
                return True
            why = reply.error or "refused"
        except (BusError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
        log.info("region_not_registered", region=identity.region, why=why, again_in_seconds=pause)
        await _pause(stop, pause)
        pause = min(pause * 1.5, LONGEST_REGISTER_PAUSE_SECONDS)
    return False


async def keep_registered(bus: Bus, identity: Identity, stop: asyncio.Event, log: Any) -> None:
    """Asks again after each reconnection: a NATS that lost its store has to be given the streams anew."""
    reconnected = asyncio.Event()
    forget = bus.on_reconnect(reconnected.set)
    try:
        while await reconnected.wait():
            reconnected.clear()
            await register(bus, identity, stop, log)
    finally:
        forget()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


async def run_prober(service: Service, bus: Bus, prober: Prober) -> None:
    """Works until the service is told to stop, then finishes what is in flight."""
    service.registry.register(CanaryMetrics(prober.canaries))
    side_tasks = [
        service.spawn("lag", prober.lag.run()),
        service.spawn("canaries", prober.canaries.run()),
        service.spawn("pulse", prober.pulse.run()),
        service.spawn("keep-alive", prober.worker.keep_alive()),
        service.spawn("keep-registered", keep_registered(bus, prober.identity, service.stop, service.log)),
    ]
    capacity = prober.worker.capacity
    ring_limit = max(1, capacity - capacity // RESERVED_SHARE)
    lanes = ((prober.now, capacity, "now"), (prober.ring, ring_limit, "ring"))
    feeding = [
        service.spawn(
            f"feed-{name}",
            prober.worker.feed(
                puller,
                limit,
                service.stop,
                service.progress(f"feed-{name}", MAX_QUIET_SECONDS),
                may_leave_out=puller is prober.ring,
            ),
        )
        for puller, limit, name in lanes
    ]
    service.ready()
    service.log.info("probing", region=prober.identity.region, prober=prober.identity.prober, capacity=capacity)
    await asyncio.wait(feeding)
    await prober.finish()
    await _cancel(side_tasks)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def serve(service: Service, settings: ProberSettings) -> None:
    async with AsyncExitStack() as stack:
        authorities = Authorities(settings.ca_file)
        stack.callback(authorities.close)
        tools = await build_tools(settings, authorities)
        stack.push_async_callback(tools.close)
        try:
            bus = await _connect(service, settings)
        except BusClosed:  # told to stop before there was a NATS
            return
        stack.push_async_callback(bus.close)
        prober = build_prober(bus, settings, tools, Metrics(service.registry), service.log)
        if await register(bus, prober.identity, service.stop, service.log):
            await run_prober(service, bus, prober)


async def _connect(service: Service, settings: ProberSettings) -> Bus:
    return await Bus.connect(
        settings.nats_url,
        name=f"prober {settings.region}",
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value() if settings.nats_password else None,
        domain=settings.nats_domain,
        ca_file=str(settings.nats_ca_file) if settings.nats_ca_file else None,
        cert_file=str(settings.nats_cert_file) if settings.nats_cert_file else None,
        key_file=str(settings.nats_key_file) if settings.nats_key_file else None,
        stop=service.stop,
    )
