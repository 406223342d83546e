"""Commands as the fold carries them out: one after another, between batches, committed with the batch they meet."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from farwatch_events.checks import IncidentCommand, Reply
from farwatch_events.events import DomainEvent, EventMeta, RegionRegistered
from farwatch_incidents.board import Board
from farwatch_incidents.changes import Line
from farwatch_incidents.rules import incident as incidents
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import Around, Decision, MonitorState
from farwatch_incidents.rules.incident import Incident

ACKNOWLEDGE, RESOLVE, NOTE = "acknowledge", "resolve", "note"


@dataclass(slots=True)
class Order:
    """`verb` with its incident command, or the region to register. `reply` is given once the batch is committed."""

    verb: str
    command: IncidentCommand | None = None
    region: str | None = None
    reply: "asyncio.Future[Reply]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def answer(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


def refused(code: str, error: str) -> Reply:
    return Reply(ok=False, code=code, error=error)


def register_region(board: Board, region: str, known: frozenset[str] | set[str]) -> DomainEvent | None:
    """The event of a new region, None for one that exists."""
    if region in known:
        return None
    event = RegionRegistered(at_ms=board.now_ms, region=region)
    board.announce(event)
    return event


def carry_out(
    board: Board, verb: str, command: IncidentCommand, incident: Incident, metas: dict[int, EventMeta]
) -> Reply:
    """Applies the command to the incident as it stands. Answers `conflict` when it is past that."""
    first = len(board.changes.events)
    current = board.states.get(incident.monitor_id)
    is_open = current is not None and current.incident is not None
    if is_open and current is not None and current.incident is not None:
        is_open = current.incident.incident_id == incident.incident_id
        incident = current.incident if is_open else incident
    reply = _decide(board, verb, command, incident, is_open=is_open)
    meta = EventMeta(actor=command.actor, actor_name=command.actor_name)
    metas.update((id(event), meta) for event in board.changes.events[first:])
    return reply


def _decide(board: Board, verb: str, command: IncidentCommand, incident: Incident, *, is_open: bool) -> Reply:
    if verb == NOTE:
        _note(board, incident, command, is_open=is_open)
        return Reply(ok=True)
    if not is_open:
        return refused("conflict", "The incident is resolved already.")
    if verb == ACKNOWLEDGE and incident.state != "open":
        return refused("conflict", "The incident was acknowledged already.")

    def decide(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
        if verb == ACKNOWLEDGE:
            return rules.acknowledge(state, config, around, command.actor)
        return rules.resolve_by_hand(state, config, around, command.actor, command.text)

    board.decide(incident.monitor_id, decide)
    return Reply(ok=True)


def _note(board: Board, incident: Incident, command: IncidentCommand, *, is_open: bool) -> None:
    actor, text = command.actor, command.text
    if is_open:
        board.decide(incident.monitor_id, partial(rules.note, actor=actor, text=text))
        return
    at_ms = max(board.now_ms, incident.last_ms)
    _, event, entry = incidents.note(incident, actor, text, at_ms)
    board.announce(event)
    board.changes.lines.append(Line(incident.incident_id, incident.entries + 1, entry))
