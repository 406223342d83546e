"""Policies and silences in words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from farwatch_events.policies import Policy, dump_policy

Names = Mapping[str, Mapping[int, str]]
"""Names of "channels" and "monitors" by id."""

SHOWN = 4


def blank_policy() -> dict[str, Any]:
    return {"id": None, **dump_policy(Policy(name="new")), "name": ""}


def say_match(match: Mapping[str, Sequence[Any]], names: Names) -> str:
    """ "tagged shop or eu, of type http, down" """
    monitors = [names["monitors"].get(each, f"monitor {each}") for each in match.get("monitors", ())]
    parts = [
        _few(monitors),
        _prefixed("tagged ", match.get("tags", ())),
        _prefixed("of type ", match.get("types", ())),
        _few(list(match.get("severities", ()))),
        _prefixed("seen from ", match.get("regions", ())),
    ]
    return ", ".join(part for part in parts if part) or "every monitor"


def _prefixed(prefix: str, values: Sequence[Any]) -> str:
    return prefix + _few(list(values)) if values else ""


def _few(values: list[str]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return " or ".join(values[:SHOWN]) + more


def say_policy(policy: Mapping[str, Any], names: Names) -> list[str]:
    """What it does, a sentence each."""
    says = [_say_step(step, names) for step in policy["steps"]] or ["nobody is told"]
    if policy["delay_seconds"]:
        says.insert(0, f"waits {say_seconds(policy['delay_seconds'])}")
    if policy["repeat_seconds"]:
        says.append(f"again every {say_seconds(policy['repeat_seconds'])} until acknowledged")
    if policy["reminder_seconds"]:
        says.append(f"reminds every {say_seconds(policy['reminder_seconds'])}")
    if policy["quiet"]:
        windows = _few([f"{each['starts']}–{each['ends']}" for each in policy["quiet"]])
        says.append(f"quiet {windows} ({policy['time_zone']})")
    if policy["grouping"]:
        says.append(f"grouped by {policy['grouping']['by']}")
    return says


def _say_step(step: Mapping[str, Any], names: Names) -> str:
    channels = [names["channels"].get(each, f"channel {each}") for each in step["target"]["channels"]]
    whom = " and ".join(channels) or "the channels of the monitor"
    after = step["after_seconds"]
    return f"after {say_seconds(after)} {whom}" if after else f"at once {whom}"


def say_seconds(seconds: int) -> str:
    """ "90 s", "5 min", "3 h 34 min": two units at most, seconds only below two minutes."""
    if seconds < 120 and seconds % 60:
        return f"{seconds} s"
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) or f"{seconds} s"
