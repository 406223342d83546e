"""What was seen against what is true: the verdict on a run with faults. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

EDGE_MS = 1_000
"""A check that is on its way while the target changes may be answered either way."""
LATE_MS = 60_000
"""How long after its end an outage may still be told: what was measured meanwhile is stored later."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A target answered with failures from `from_ms` up to `to_ms`: the truth."""

    monitor: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class SeenIncident:
    """`resolved_ms` is None while it is open."""

    id: int
    monitor: str
    opened_ms: int
    resolved_ms: int | None


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """What a sink received: `type` as the webhook names it; `incident_id` is None for news of regions."""

    type: str
    key: str
    monitor: str
    incident_id: int | None


BEGIN, END = "incident.down", "incident.recovered"


@dataclass(slots=True)
class Verdict:
    """Each list holds a sentence for every finding. `repeats` are allowed: a message sent again under its own key."""

    outages: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    wrong_ends: list[str] = field(default_factory=list)
    repeats: int = 0
    others: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.false_alarms or self.wrong_ends)


def judge(truth: Sequence[Outage], incidents: Iterable[SeenIncident], messages: Sequence[SeenMessage]) -> Verdict:
    """Every outage is one incident that ends after it, told once at its beginning and once at its end; nothing else
    is told. Outages of one monitor lie further apart than LATE_MS, or each has its incident before the next begins.
    """
    verdict = Verdict(outages=len(truth))
    told: dict[Outage, list[SeenIncident]] = {each: [] for each in truth}
    for incident in incidents:
        outage = _outage_of(incident, truth)
        if outage is None:
            verdict.false_alarms.append(f"{incident.monitor}: incident {incident.id} without an outage")
        else:
            told[outage].append(incident)
    for outage, its in told.items():
        _judge_outage(verdict, outage, its, messages)
    known = {incident.id for its in told.values() for incident in its}
    _judge_strays(verdict, messages, known)
    verdict.repeats = len(messages) - len({(each.key, each.type) for each in messages})
    return verdict


def _outage_of(incident: SeenIncident, truth: Sequence[Outage]) -> Outage | None:
    """The last outage of the monitor that had begun."""
    begun = [
        each
        for each in truth
        if each.monitor == incident.monitor and each.from_ms - EDGE_MS <= incident.opened_ms <= each.to_ms + LATE_MS
    ]
    return max(begun, key=lambda each: each.from_ms, default=None)


def _judge_outage(
    verdict: Verdict, outage: Outage, incidents: list[SeenIncident], messages: Sequence[SeenMessage]
) -> None:
    if not incidents:
        verdict.lost.append(f"{outage.monitor}: no incident")
    if len(incidents) > 1:
        verdict.doubled.append(f"{outage.monitor}: incidents {[each.id for each in incidents]}")
    for incident in incidents:
        if incident.resolved_ms is None or incident.resolved_ms < outage.to_ms - EDGE_MS:
            how = "never ended" if incident.resolved_ms is None else "ended before its outage"
            verdict.wrong_ends.append(f"{outage.monitor}: incident {incident.id} {how}")
        for type_ in (BEGIN, END):
            keys = {each.key for each in messages if each.incident_id == incident.id and each.type == type_}
            if not keys:
                verdict.lost.append(f"{outage.monitor}: no {type_} of incident {incident.id}")
            if len(keys) > 1:
                verdict.doubled.append(f"{outage.monitor}: {len(keys)} different {type_} of incident {incident.id}")


def _judge_strays(verdict: Verdict, messages: Sequence[SeenMessage], known: set[int]) -> None:
    for message in messages:
        if message.type not in (BEGIN, END):
            verdict.others[message.type] += 1
        elif message.incident_id not in known:
            verdict.false_alarms.append(f"{message.monitor}: {message.type} without an outage")
