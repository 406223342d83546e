"""The commands of other services, as they arrive on the bus."""

from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from farwatch_bus import Bus, BusError, Subscription, ensure_region
from farwatch_events import subjects
from farwatch_events.checks import IncidentCommand, RegisterRegionRequest, Reply
from farwatch_incidents.fold import Fold
from farwatch_incidents.orders import ACKNOWLEDGE, NOTE, RESOLVE, Order, refused


async def listen(bus: Bus, fold: Fold) -> list[Subscription]:
    """Answers from now on. Only the fold that holds the lease listens, so that there is one writer."""
    return [
        await bus.respond(subjects.REGISTER_REGION_COMMAND, lambda data: _register(bus, fold, data)),
        await bus.respond(subjects.ACKNOWLEDGE_COMMAND, _on_incident(fold, ACKNOWLEDGE)),
        await bus.respond(subjects.RESOLVE_COMMAND, _on_incident(fold, RESOLVE)),
        await bus.respond(subjects.NOTE_COMMAND, _on_incident(fold, NOTE)),
    ]


def _on_incident(fold: Fold, verb: str) -> Callable[[bytes], Awaitable[bytes]]:
    async def handle(data: bytes) -> bytes:
        try:
            command = IncidentCommand.from_bytes(data)
        except ValidationError as error:
            return refused("conflict", f"Not a command: {error.errors()[0]['msg']}").to_bytes()
        return (await fold.submit(Order(verb, command=command))).to_bytes()

    return handle


async def _register(bus: Bus, fold: Fold, data: bytes) -> bytes:
    """Streams first: a region that exists can be worked with."""
    try:
        region = subjects.require_region(RegisterRegionRequest.from_bytes(data).region)
    except ValueError as error:
        return refused("conflict", str(error)).to_bytes()
    try:
        await ensure_region(bus, region)
    except BusError as error:
        return refused("unavailable", f"The streams of {region} could not be made: {error}").to_bytes()
    if region == subjects.PUSH_REGION:
        return Reply(ok=True).to_bytes()
    return (await fold.submit(Order("register_region", region=region))).to_bytes()
