"""The message of an alert, before a channel gives it its looks. Pure.

Texts are filled from a fixed set of placeholders: monitor, region, severity, since, duration, regions, cause, group,
count, members, by and problem.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from farwatch_events.events import (
    PROBLEMS,
    DomainEvent,
    DrillAcknowledged,
    DrillEnded,
    DrillStarted,
    FirstFailure,
    FirstSuccess,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    RecordedEvent,
    RegionCleared,
    RegionReturned,
    RegionSilenced,
    RegionSuspected,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_events.model import Message
from farwatch_events.results import Evidence
from farwatch_notifier.facts import Facts, IncidentFacts
from farwatch_notifier.policy.deciding import thread_of
from farwatch_notifier.text import fill, join_words, lines, one_line, say_actor, say_duration, say_time

Kind = Literal[
    "down",
    "degraded",
    "up",
    "resolved",
    "first_failure",
    "first_success",
    "reminder",
    "group_down",
    "group_up",
    "group_behind",
    "region_silent",
    "region_returned",
    "region_suspect",
    "region_cleared",
    "acknowledged",
    "flapping",
    "steady",
    "system_troubled",
    "system_recovered",
    "test",
]
Tone = Literal["bad", "warning", "good", "note"]

TEXTS: dict[Kind, tuple[Tone, str, str]] = {
    "down": ("bad", "{monitor} is down", "{monitor} is down since {since}, seen from {regions}: {cause}"),
    "degraded": ("warning", "{monitor} is degraded", "{monitor} is degraded since {since}: {cause}"),
    "up": ("good", "{monitor} has recovered", "{monitor} is up again after {duration}."),
    "resolved": ("good", "{monitor}: incident resolved", "The incident was resolved by hand after {duration}."),
    "first_failure": ("warning", "{monitor}: first failure", "A check from {regions} failed after a success: {cause}"),
    "first_success": ("good", "{monitor}: answers again", "A check from {regions} succeeded after a failure."),
    "reminder": ("bad", "{monitor} is still {severity}", "{monitor} is {severity} for {duration} now: {cause}"),
    "group_down": ("bad", "{count} monitors have trouble", "{group}: {members}."),
    "group_up": ("good", "{count} monitors have recovered", "{group}: {members} are up again."),
    "group_behind": (
        "warning",
        "{count} monitors behind {group} fail too",
        "They stand behind {group} and are not told one by one: {members}.",
    ),
    "region_silent": (
        "warning",
        "Region {region} is silent",
        "No prober of region {region} has answered since {since}. Its votes do not count until it returns.",
    ),
    "region_returned": ("good", "Region {region} is back", "Region {region} answers again after {duration}."),
    "region_suspect": ("warning", "Region {region} is suspect", "Region {region} has no vote for now: {cause}"),
    "region_cleared": ("good", "Region {region} is trusted again", "Region {region} votes again: {cause}"),
    "acknowledged": ("warning", "{monitor}: acknowledged", "{by} is on it. {monitor} is {severity} since {since}."),
    "flapping": (
        "warning",
        "{monitor} is flapping",
        "{monitor} goes up and down too often to be told each time: quiet from here on until it is steady. {cause}",
    ),
    "steady": ("good", "{monitor} is steady again", "{monitor} is told as usual again. {cause}"),
    "system_troubled": ("bad", "Farwatch has trouble: {problem}", "{problem}. {cause}."),
    "system_recovered": ("good", "Farwatch is well again: {problem}", "That is over after {duration}. {cause}."),
    "test": ("note", "Test message from Farwatch", "This channel works: alerts will arrive here and look like this."),
}
COLOURS: dict[Tone, int] = {"bad": 0xD92D20, "warning": 0xF79009, "good": 0x17A34A, "note": 0x2970FF}
SYMBOLS: dict[Tone, str] = {"bad": "🔴", "warning": "🟠", "good": "🟢", "note": "🔵"}

EXCERPT_LIMIT = 500
NAMED_MAX = 25
MEMBERS_MAX = 100
DRILL = "[Drill] "


class Member(Message):
    """One of the troubles that a message about many names."""

    name: str
    moment: str
    monitor_id: int | None = None
    incident_id: int | None = None
    since_ms: int | None = None


class Alert(Message):
    """Everything that a channel may show. Texts are free of control characters; channels escape them for their place.

    `since_ms` is the start of the trouble, `at_ms` the time of the event that is told.
    """

    kind: Kind
    tone: Tone
    title: str
    sentence: str
    at_ms: int
    thread: str
    since_ms: int | None = None
    duration_seconds: int | None = None
    monitor_id: int | None = None
    monitor_name: str = ""
    monitor_type: str = ""
    target: str = ""
    incident_id: int | None = None
    severity: str | None = None
    region: str | None = None
    regions: list[str] = Field(default_factory=list)
    error_class: str | None = None
    error: str | None = None
    reason: str = ""
    answered_status: str = ""
    answered_excerpt: str = ""
    answered_address: str = ""
    drill: bool = False
    group: str = ""
    count: int = 0
    members: list[Member] = Field(default_factory=list)
    link: str | None = None
    acknowledge_link: str | None = None
    silence_link: str | None = None

    @property
    def colour(self) -> int:
        return COLOURS[self.tone]

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.tone]

    @property
    def duration(self) -> str | None:
        return None if self.duration_seconds is None else say_duration(self.duration_seconds)


def build_alert(recorded: RecordedEvent, facts: Facts, public_url: str) -> Alert | None:
    """The message of a routed event; None for an event without one. `public_url` may be empty: then no links."""
    event = recorded.event()
    if event is None:
        return None
    kind, details = _describe(event, facts)
    if kind is None:
        return None
    base = {"at_ms": event.at_ms, "thread": thread_of(event), **_monitor_fields(event, facts), **details}
    base["link"] = _link(public_url, base.get("incident_id"), base.get("monitor_id"))
    return _compose(kind, base, say_actor(getattr(event, "actor", None) or ""), _name_problem(event))


def sample_alert(channel_name: str, at_ms: int, public_url: str) -> Alert:
    """What the test button sends: a message with every part filled in."""
    sample: dict[str, Any] = {
        "at_ms": at_ms,
        "thread": "test",
        "monitor_name": "Example shop",
        "monitor_type": "http",
        "target": "https://shop.example/",
        "regions": ["local"],
        "since_ms": at_ms - 90_000,
        "reason": f"Somebody pressed “Send a test” on the channel {one_line(channel_name, 200)}.",
        "answered_status": "HTTP/1.1 503 Service Unavailable",
        "link": _link(public_url, None, None),
    }
    return _compose("test", sample)


def _compose(kind: Kind, fields: dict[str, Any], by: str = "", problem: str = "") -> Alert:
    tone, title, sentence = TEXTS[kind]
    values = _placeholders(fields, by, problem)
    marked = (DRILL if fields.get("drill") else "") + fill(title, values)
    return Alert(kind=kind, tone=tone, title=marked, sentence=fill(sentence, values), **fields)


def _placeholders(fields: dict[str, Any], by: str, problem: str) -> dict[str, str]:
    since_ms, seconds = fields.get("since_ms"), fields.get("duration_seconds")
    return {
        "monitor": fields.get("monitor_name") or "A monitor",
        "region": fields.get("region") or "",
        "severity": fields.get("severity") or "",
        "since": say_time(since_ms if since_ms is not None else fields["at_ms"]),
        "duration": say_duration(seconds) if seconds is not None else "an unknown time",
        "regions": join_words(fields.get("regions") or []) or "no region",
        "cause": fields.get("error") or fields.get("reason") or "no cause was recorded",
        "group": fields.get("group") or "",
        "count": str(fields.get("count") or 0),
        "by": by,
        "problem": problem,
        "members": _name_members(fields.get("members") or [], fields.get("count") or 0),
    }


def _name_members(members: list[Member], count: int) -> str:
    names = [member.name for member in members[:NAMED_MAX]]
    return join_words([*names, f"{count - len(names)} more"] if count > len(names) else names)


def build_reminder(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> Alert:
    """An open incident told again, as it stands now."""
    fields = _standing_fields(incident, facts, now_ms, public_url)
    fields["duration_seconds"] = max(0, now_ms - incident.opened_ms) // 1000
    return _compose("reminder", fields)


def build_standing(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> Alert:
    """An open incident told later than it opened: as it stands now, not as it was."""
    return _compose(incident.severity, _standing_fields(incident, facts, now_ms, public_url))


def _standing_fields(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "at_ms": now_ms,
        "thread": incident.thread,
        "since_ms": incident.opened_ms,
        "monitor_id": incident.monitor_id,
        "monitor_name": one_line(incident.monitor_name, 200),
        "incident_id": None if incident.drill else incident.id,
        "severity": incident.severity,
        "regions": list(incident.regions),
        "reason": one_line(incident.reason, 500),
        "drill": incident.drill,
        **_cause(incident.error_class, incident.error),
        **_answer(incident.evidence),
    }
    if facts.monitor is not None:
        fields |= {"monitor_type": facts.monitor.type, "target": one_line(facts.monitor.target, 500)}
    return fields | {"link": _link(public_url, fields["incident_id"], incident.monitor_id)}


def build_group(
    kind: Literal["group_down", "group_up", "group_behind"],
    title: str,
    thread: str,
    members: Sequence[Member],
    at_ms: int,
    public_url: str,
    key: str,
) -> Alert:
    """One message about many; it names the first and counts all. `key` is the message's: its page lists every one."""
    shown = [member.model_copy(update={"name": one_line(member.name, 80)}) for member in members[:MEMBERS_MAX]]
    base = public_url.rstrip("/")
    fields: dict[str, Any] = {
        "at_ms": at_ms,
        "thread": thread,
        "group": one_line(title, 200),
        "count": len(members),
        "members": shown,
        "since_ms": min((m.since_ms for m in members if m.since_ms is not None), default=None),
        "link": f"{base}/incidents?told={key}" if base else None,
    }
    return _compose(kind, fields)


def _monitor_fields(event: DomainEvent, facts: Facts) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "monitor_id": getattr(event, "monitor_id", None),
        "incident_id": getattr(event, "incident_id", None),
    }
    if isinstance(event, DrillStarted | DrillEnded):
        fields["drill"] = True
    if facts.monitor is not None:
        fields["monitor_name"] = one_line(facts.monitor.name, 200)
        fields["monitor_type"] = facts.monitor.type
        fields["target"] = one_line(facts.monitor.target, 500)
    name = getattr(event, "monitor_name", "")
    return fields | ({"monitor_name": one_line(name, 200)} if name else {})


def _describe(event: DomainEvent, facts: Facts) -> tuple[Kind | None, dict[str, Any]]:
    match event:
        case IncidentOpened() | IncidentSeverityRaised() | IncidentUnsuppressed():
            return _describe_problem(event, facts.incident)
        case IncidentResolved():
            return _describe_end(event, facts.incident)
        case DrillStarted() | DrillEnded():
            return _describe_drill(event)
        case FirstFailure() | FirstSuccess():
            kind: Kind = "first_failure" if isinstance(event, FirstFailure) else "first_success"
            error = event.error if isinstance(event, FirstFailure) else None
            return kind, {"regions": [event.region], **_cause(getattr(event, "error_class", None), error)}
        case RegionSilenced() | RegionReturned() | RegionSuspected() | RegionCleared():
            return _describe_region(event)
        case IncidentAcknowledged() | DrillAcknowledged():
            return _describe_acknowledged(event, facts.incident)
        case FlappingStarted() | FlappingEnded():
            return ("flapping" if isinstance(event, FlappingStarted) else "steady"), _because(event.reason)
        case SystemTroubled():
            return "system_troubled", {"since_ms": event.at_ms, **_because(event.reason)}
        case SystemRecovered():
            since_ms = event.at_ms - event.seconds * 1000
            fields = {"since_ms": since_ms, "duration_seconds": event.seconds}
            return "system_recovered", {**fields, **_because(event.reason)}
    return None, {}


def _describe_problem(
    event: IncidentOpened | IncidentSeverityRaised | IncidentUnsuppressed, incident: IncidentFacts | None
) -> tuple[Kind | None, dict[str, Any]]:
    fields: dict[str, Any] = {"since_ms": event.at_ms, "reason": one_line(event.reason, 500)}
    if incident is not None:
        fields |= {"since_ms": incident.opened_ms, "severity": incident.severity, "regions": list(incident.regions)}
        fields |= _cause(incident.error_class, incident.error) | _answer(incident.evidence)
    if isinstance(event, IncidentUnsuppressed):
        return (incident.severity if incident is not None else None), fields
    fields |= {"severity": event.severity, **_cause(event.cause.error_class, event.cause.error)}
    if isinstance(event, IncidentOpened):
        fields |= {"since_ms": event.at_ms, "regions": event.regions, **_answer(event.evidence)}
    else:
        fields["regions"] = [each.region for each in event.votes if each.vote == "down"] or fields.get("regions", [])
    return event.severity, fields


def _describe_drill(event: DrillStarted | DrillEnded) -> tuple[Kind, dict[str, Any]]:
    if isinstance(event, DrillStarted):
        reason = f"A fire drill, started by {say_actor(event.actor)}: nothing is down. Acknowledge it as if it were."
        return event.severity, {"since_ms": event.at_ms, "severity": event.severity, "reason": reason}
    return "up", {
        "since_ms": event.at_ms - event.duration_seconds * 1000,
        "duration_seconds": event.duration_seconds,
        "reason": one_line(f"The drill is over: {event.reason}", 500),
    }


def _because(reason: str) -> dict[str, Any]:
    return {"reason": one_line(reason, 500)}


def _name_problem(event: DomainEvent) -> str:
    """In words, and whose where there are several."""
    if not isinstance(event, SystemTroubled | SystemRecovered):
        return ""
    words = PROBLEMS.get(event.problem, event.problem)
    return one_line(f"{words} ({event.subject})" if event.subject else words, 200)


def _describe_acknowledged(
    event: IncidentAcknowledged | DrillAcknowledged, incident: IncidentFacts | None
) -> tuple[Kind | None, dict[str, Any]]:
    """None for an incident that is not known any more."""
    if incident is None:
        return None, {}
    fields: dict[str, Any] = {"since_ms": incident.opened_ms, "severity": incident.severity, "drill": incident.drill}
    fields |= {"monitor_name": one_line(incident.monitor_name, 200), "regions": list(incident.regions)}
    note = getattr(event, "note", None)
    return "acknowledged", fields | ({"reason": one_line(note, 500)} if note else {})


def _describe_end(event: IncidentResolved, incident: IncidentFacts | None) -> tuple[Kind, dict[str, Any]]:
    fields: dict[str, Any] = {
        "since_ms": event.at_ms - event.duration_seconds * 1000,
        "duration_seconds": event.duration_seconds,
        "reason": one_line(event.reason, 500),
    }
    if incident is not None:
        fields |= {"severity": incident.severity, "regions": list(incident.regions)}
        fields |= _cause(incident.error_class, incident.error)
    return ("resolved" if event.how == "manual" else "up"), fields


def _describe_region(
    event: RegionSilenced | RegionReturned | RegionSuspected | RegionCleared,
) -> tuple[Kind, dict[str, Any]]:
    fields: dict[str, Any] = {"region": event.region, "regions": [event.region]}
    match event:
        case RegionSilenced():
            return "region_silent", fields | {"since_ms": event.last_seen_ms}
        case RegionReturned():
            silent = event.silent_seconds
            return "region_returned", fields | {"duration_seconds": silent, "since_ms": event.at_ms - silent * 1000}
        case RegionSuspected():
            return "region_suspect", fields | {"reason": one_line(event.reason, 500)}
    return "region_cleared", fields | {"reason": one_line(event.reason, 500)}


def _cause(error_class: str | None, error: str | None) -> dict[str, Any]:
    if error_class is None and not error:
        return {}
    return {"error_class": error_class and str(error_class), "error": one_line(error or str(error_class), 500)}


def _answer(evidence: Evidence | None) -> dict[str, Any]:
    if evidence is None:
        return {}
    return {
        "answered_status": one_line(evidence.status_line, 200),
        "answered_excerpt": lines(evidence.body, EXCERPT_LIMIT),
        "answered_address": one_line(evidence.address or "", 100),
    }


def _link(public_url: str, incident_id: int | None, monitor_id: int | None) -> str | None:
    base = public_url.rstrip("/")
    if not base:
        return None
    if incident_id is not None:
        return f"{base}/incidents/{incident_id}"
    return f"{base}/monitors/{monitor_id}" if monitor_id is not None else base
