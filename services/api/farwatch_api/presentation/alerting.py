"""Policies and silences in words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from farwatch_events.channels import Moment
from farwatch_events.policies import POLICY_MOMENTS, Policy, dump_policy

Names = Mapping[str, Mapping[int, str]]
"""Names of "channels" and "monitors" by id."""

SHOWN = 4

MOMENT_WORDS: Mapping[Moment, str] = {
    "down": "it is down",
    "degraded": "it is degraded",
    "up": "it has recovered",
    "first_failure": "a check fails first, unconfirmed",
    "first_success": "a check answers again, nothing was confirmed",
    "reminder": "it is still open",
}


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


def _few(values: list[str], shown: int = SHOWN) -> str:
    more = f" and {len(values) - shown} more" if len(values) > shown else ""
    return " or ".join(values[:shown]) + more


def moment_rows(fits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each moment who hears of it and who does not, in the words of the form; several policies may decide."""
    rows = []
    for moment in POLICY_MOMENTS:
        mine = [each for each in fits if each["moment"] == moment]
        heard = list(dict.fromkeys(each["channel"] for each in mine if each["why_not"] is None))
        why = {each["channel"]: each["why_not"] for each in mine if each["channel"] not in heard}
        rows.append({"moment": MOMENT_WORDS[moment], "told": heard, "why_not": why})
    return rows


def say_policy(policy: Mapping[str, Any], names: Names) -> list[str]:
    """What it does, a sentence each."""
    says = [_say_step(step, names) for step in policy["steps"]] or ["nobody is told"]
    if policy["delay_seconds"]:
        says.insert(0, f"waits {say_seconds(policy['delay_seconds'])}")
    if policy.get("moments") is not None:
        heard = [MOMENT_WORDS[each] for each in POLICY_MOMENTS if each in policy["moments"]]
        says.append(f"only when {_few(heard, len(heard))}" if heard else "at no moment at all")
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
