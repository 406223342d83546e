"""`farwatch monitors`, `check`, `apply` and `export`: what a person does with monitors from a terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from farwatch_cli.client import ApiFailure, Client
from farwatch_cli.difference import Difference, Monitor, compare, specification, without_defaults
from farwatch_cli.failures import Mendable
from farwatch_events.monitor import dump_monitor, parse_monitor

_COLOURS = {"up": "green", "down": "red", "degraded": "yellow", "unknown": "magenta"}


class FileProblem(Mendable):
    """The file of monitors cannot be used: one line that names the place."""


def show(client: Client, state: str | None, search: str | None) -> int:
    """A table of the monitors, worst first as the API lists them."""
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "STATE", "NAME", "TYPE", "TARGET", "REASON"):
        table.add_column(heading, overflow="fold")
    for monitor in client.items("/api/monitors", state=state, q=search):
        colour = _COLOURS.get(monitor["state"], "dim")
        target = monitor.get("url") or monitor.get("host") or ""
        row = (str(monitor["id"]), f"[{colour}]{monitor['state']}[/]", monitor["name"], monitor["type"], target)
        table.add_row(*row, monitor.get("reason") or "")
    Console().print(table)
    return 0


def check_now(client: Client, which: str) -> int:
    """Asks each region for one try and prints the answers; exit code 1 when one failed."""
    monitor = find(client, which)
    outcome = client.post(
        f"/api/monitors/{monitor['id']}/check", timeout_seconds=float(monitor["timeout_seconds"]) + 15
    )
    results = outcome.get("results") or []
    for result in results:
        verdict = "ok" if result["ok"] else f"{result.get('error_class')}: {result.get('error')}"
        print(f"{result['region']:<12} {verdict:<40} {result.get('latency_ms')} ms")
    if not results:
        print("No region answered in time.", file=sys.stderr)
    return 0 if results and all(result["ok"] for result in results) else 1


def find(client: Client, which: str) -> Monitor:
    """The monitor with this id or this exact name; raises ApiFailure."""
    if which.isdigit():
        found: Monitor = client.get(f"/api/monitors/{which}")
        return found
    for monitor in client.items("/api/monitors", q=which):
        if monitor["name"] == which:
            return monitor
    raise ApiFailure(f"no monitor is named {which!r}")


def read_file(path: Path, channels: dict[str, int]) -> list[Monitor]:
    """The monitors of a YAML file, complete with defaults; raises FileProblem.

    `channels` are ids by name: a file names channels, since ids differ from one Farwatch to the next.
    """
    try:
        content = yaml.safe_load(sys.stdin if str(path) == "-" else path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileProblem(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    entries = content.get("monitors") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise FileProblem(f"{path} must hold a list under the key `monitors`")
    monitors = [_parse(path, number, entry, channels) for number, entry in enumerate(entries, start=1)]
    names = [monitor["name"] for monitor in monitors]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FileProblem(f"{path} names {twice!r} twice: apply tells monitors apart by their names")
    return monitors


def _parse(path: Path, number: int, entry: object, channels: dict[str, int]) -> Monitor:
    if not isinstance(entry, dict):
        raise FileProblem(f"{path}, monitor {number}: must be fields with values")
    label = f"{path}, monitor {number} ({entry.get('name', 'without a name')})"
    named = [channel for channel in entry.get("channels") or [] if isinstance(channel, str)]
    missing = [name for name in named if name not in channels]
    if missing:
        raise FileProblem(f"{label}: no channel is named {missing[0]!r}")
    ids = [channels[c] if isinstance(c, str) else c for c in entry.get("channels") or []]
    try:
        return dump_monitor(parse_monitor({**entry, **({"channels": ids} if ids else {})}))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"][1:] or problem["loc"])
        raise FileProblem(f"{label}: {where}: {problem['msg'].removeprefix('Value error, ')}") from None


def channel_ids(client: Client) -> dict[str, int]:
    return {channel["name"]: int(channel["id"]) for channel in client.items("/api/channels")}


def apply(client: Client, path: Path, *, yes: bool, prune: bool, send_secrets: bool) -> int:
    """Shows the difference, asks unless `yes`, and carries it out. Exit code 1 when declined."""
    wanted = read_file(path, channel_ids(client))
    difference = compare(wanted, client.items("/api/monitors"), prune=prune, send_secrets=send_secrets)
    print("\n".join(describe(difference)))
    if difference.is_empty:
        return 0
    if not yes and not _agreed():
        print("Nothing was changed.")
        return 1
    carry_out(client, difference)
    print("Done.")
    return 0


def describe(difference: Difference) -> list[str]:
    lines = [f"+ {monitor['name']} ({monitor['type']})" for monitor in difference.create]
    for update in difference.update:
        lines.append(f"~ {update.monitor['name']}")
        lines += [f"    {name}: {before!r} -> {after!r}" for name, (before, after) in update.fields.items()]
        lines += [] if update.fields else ["    secrets are sent again"]
    lines += [f"- {monitor['name']} ({monitor['type']})" for monitor in difference.delete]
    counts = f"{len(difference.create)} to create, {len(difference.update)} to change, {len(difference.delete)}"
    lines.append(f"{counts} to delete, {difference.unchanged} unchanged.")
    if difference.secrets_not_compared:
        lines.append(f"Secrets of {difference.secrets_not_compared} cannot be compared; --secrets sends them again.")
    return lines


def carry_out(client: Client, difference: Difference) -> None:
    for monitor in difference.create:
        client.post("/api/monitors", monitor)
    for update in difference.update:
        client.put(f"/api/monitors/{update.id}", update.monitor)
    for monitor in difference.delete:
        client.delete(f"/api/monitors/{monitor['id']}")


def export(client: Client) -> str:
    """All monitors as a file for `farwatch apply`, without secrets and without what is default."""
    names = {number: name for name, number in channel_ids(client).items()}
    monitors = sorted(client.items("/api/monitors"), key=lambda monitor: str(monitor["name"]))
    return dump_file([_named(without_defaults(specification(monitor)), names) for monitor in monitors])


def dump_file(monitors: Sequence[dict[str, Any]]) -> str:
    text: str = yaml.safe_dump({"monitors": list(monitors)}, sort_keys=False, allow_unicode=True, width=120)
    return text


def _named(monitor: Monitor, names: dict[int, str]) -> Monitor:
    if monitor.get("channels"):
        return {**monitor, "channels": [names.get(number, number) for number in monitor["channels"]]}
    return monitor


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("Say --yes to change it without a question.", file=sys.stderr)
        return False
    return input("Change it? [y/N] ").strip().lower() in ("y", "yes")
