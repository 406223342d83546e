"""Every text of every message, and how it is filled. Pure.

Placeholders: monitor, region, severity, since, duration, regions, cause, group, count, members, by and problem. There
is no other syntax, so what others wrote is never read as one.
"""

from farwatch_notifier.message.alert import Alert, Kind, Member, Tone
from farwatch_notifier.message.parts import Fields
from farwatch_notifier.text import fill, join_words, say_duration, say_time

TEXTS: dict[Kind, tuple[Tone, str, str]] = {
    "down": ("bad", "{monitor} is down", "{monitor} is down since {since}, seen from {regions}: {cause}"),
    "degraded": ("warning", "{monitor} is degraded", "{monitor} is degraded since {since}: {cause}"),
    "up": ("good", "{monitor} has recovered", "{monitor} is up again after {duration}."),
    "resolved": ("good", "{monitor}: incident resolved", "The incident was resolved by {by} after {duration}."),
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
    "acknowledged": (
        "warning",
        "{monitor}: acknowledged",
        "Acknowledged by {by}. {monitor} is {severity} since {since}.",
    ),
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

NAMED_MAX = 25
DRILL = "[Drill] "


def compose(kind: Kind, fields: Fields, by: str = "", problem: str = "") -> Alert:
    """`by` is who did it and `problem` what is wrong with Farwatch, for the texts that say so."""
    tone, title, sentence = TEXTS[kind]
    values = _placeholders(fields) | {"by": by, "problem": problem}
    marked = (DRILL if fields.get("drill") else "") + fill(title, values)
    return Alert(kind=kind, tone=tone, title=marked, sentence=fill(sentence, values), **fields)


def _placeholders(fields: Fields) -> dict[str, str]:
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
        "members": _name_members(fields.get("members") or [], fields.get("count") or 0),
    }


def _name_members(members: list[Member], count: int) -> str:
    names = [member.name for member in members[:NAMED_MAX]]
    return join_words([*names, f"{count - len(names)} more"] if count > len(names) else names)
