"""Alerts that are told together: where one waits, when a group is told, and what is left of it by then. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from farwatch_events.matching import NumberedPolicy
from farwatch_events.policies import Grouping
from farwatch_notifier.facts import Facts, GroupItem, GroupRef, IncidentFacts, ParentDown
from farwatch_notifier.policy.choosing import PROBLEM_MOMENTS

BEHIND_WAIT_MS = 15_000
BEHIND_INTERVAL_SECONDS = 120
GROUP_THREAD = "group-"
BEHIND = "behind"
"""The moment of an incident that is named as being behind a parent: its own alert is still to come, or never."""


def group_of(numbered: NumberedPolicy, facts: Facts) -> GroupRef | None:
    """None when the policy tells each incident by itself."""
    grouping = numbered.policy.grouping
    if grouping is None:
        return None
    key = f"{numbered.id}/{grouping.by}/{_value(grouping, numbered, facts)}"
    return make_ref(key, numbered)


def _value(grouping: Grouping, numbered: NumberedPolicy, facts: Facts) -> str:
    monitor = facts.monitor
    if grouping.by == "policy" or monitor is None:
        return ""
    if grouping.by == "parent":
        return ",".join(str(each) for each in sorted(monitor.parents))
    wanted = [tag for tag in numbered.policy.match.tags if tag in monitor.tags]
    return min(wanted or monitor.tags, default="")


def make_ref(key: str, numbered: NumberedPolicy) -> GroupRef:
    grouping = numbered.policy.grouping or Grouping(wait_seconds=0)
    by, _, value = key.partition("/")[2].partition("/")
    title = f"{numbered.policy.name}, {by} {value}" if value else numbered.policy.name
    return GroupRef(
        key, numbered.id, GROUP_THREAD + key, title, grouping.wait_seconds * 1000, grouping.interval_seconds
    )


def recovery_group(via: str, policies: Iterable[NumberedPolicy]) -> GroupRef | None:
    """What was told in a group recovers in it, which also keeps the order of its messages. None: told alone."""
    if not via.startswith(GROUP_THREAD):
        return None
    key = via.removeprefix(GROUP_THREAD)
    policy_id = key.partition("/")[0]
    found = next((each for each in policies if str(each.id) == policy_id), None)
    return None if found is None else make_ref(key, found)


def behind_group(parent: ParentDown) -> GroupRef:
    """Monitors behind one that is down are named in one message, in the thread of the parent's incident."""
    thread = f"incident-{parent.incident_id}"
    return GroupRef(f"behind/{thread}", 0, thread, parent.name, BEHIND_WAIT_MS, BEHIND_INTERVAL_SECONDS)


def flush_at_ms(wait_ms: int, interval_seconds: int, flushed_ms: int | None, now_ms: int) -> int:
    """A group is told after its wait, and not sooner than its interval after the last time."""
    earliest_ms = now_ms + wait_ms
    return earliest_ms if flushed_ms is None else max(earliest_ms, flushed_ms + interval_seconds * 1000)


@dataclass(frozen=True, slots=True)
class Flush:
    """What a group says to one channel: one message for each part that is not empty. `dropped` with their reasons."""

    channel_id: int
    problems: tuple[GroupItem, ...]
    behind: tuple[GroupItem, ...]
    recoveries: tuple[GroupItem, ...]
    dropped: tuple[tuple[GroupItem, str], ...]


def decide_flush(channel_id: int, items: Iterable[GroupItem], troubles: Mapping[str, IncidentFacts]) -> Flush:
    """Alerts that are no longer true when the group's turn comes are left out."""
    problems: list[GroupItem] = []
    behind: list[GroupItem] = []
    recoveries: list[GroupItem] = []
    dropped: list[tuple[GroupItem, str]] = []
    for item in items:
        why = _outdated(item, troubles.get(item.thread))
        if item.moment == "up":
            recoveries.append(item)
        elif why is not None:
            dropped.append((item, why))
        elif item.moment in PROBLEM_MOMENTS or item.moment == "reminder":
            problems.append(item)
        else:
            behind.append(item)
    return Flush(channel_id, tuple(problems), tuple(behind), tuple(recoveries), tuple(dropped))


def _outdated(item: GroupItem, trouble: IncidentFacts | None) -> str | None:
    if trouble is None:
        return "the incident is not known any more"
    if trouble.resolved_ms is not None:
        return "it was over before its group was told"
    if trouble.acknowledged_ms is not None and trouble.acknowledged_ms >= item.at_ms:
        return f"acknowledged by {trouble.acknowledged_by or 'somebody'} before its group was told"
    return None
