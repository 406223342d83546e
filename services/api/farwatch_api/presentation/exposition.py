"""Last checks as Prometheus text, under the names that blackbox_exporter gave them, so its dashboards and alerts fit.

Pure. One family's lines must stand together, so they are gathered by family.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from farwatch_api.rows import Row

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NOBODY_LOOKED: Final = frozenset({"skipped", "blocked", "internal"})

FAMILIES: Final[dict[str, str]] = {
    "probe_success": "1 if the last check found the target up or degraded, 0 if down",
    "probe_duration_seconds": "How long the last check took, from DNS to the end of the answer",
    "probe_dns_lookup_time_seconds": "How long the name took to resolve in the last check",
    "probe_http_duration_seconds": "Phases of the last HTTP check, over all its redirects",
    "probe_http_status_code": "Status of the last HTTP answer",
    "probe_icmp_duration_seconds": "Phases of the last ping",
    "probe_ssl_earliest_cert_expiry": "When the certificate ends, in seconds since 1970",
    "farwatch_check_slot_timestamp_seconds": "When the last check was due, in seconds since 1970",
    "farwatch_monitor_up": "1 if the monitor is up or degraded by the votes of all regions, 0 if it is down",
    "farwatch_monitors_left_out": "Monitors that this page has no room for: ask by tag or region",
}
_HTTP_PHASES: Final = {
    "resolve": "dns_ms", "connect": "connect_ms", "tls": "tls_ms", "processing": "wait_ms", "transfer": "transfer_ms",
}  # fmt: skip

Lines = dict[str, list[str]]


def escape(text: str) -> str:
    """A label's value, as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def add_monitor(lines: Lines, row: Row) -> None:
    """The verdict over all regions; none for unknown."""
    if row["verdict"] in ("up", "degraded", "down"):
        labels = f'id="{row["id"]}",monitor="{escape(row["name"])}"'
        lines["farwatch_monitor_up"].append(f"{{{labels}}} {int(row['verdict'] != 'down')}")


def add_check(lines: Lines, row: Row) -> None:
    """One region's last check."""
    check: Mapping[str, Any] = row["last_check"]
    labels = f'id="{row["id"]}",monitor="{escape(row["name"])}",region="{row["region"]}"'
    slot = datetime.fromisoformat(check["slot"]).timestamp()
    lines["farwatch_check_slot_timestamp_seconds"].append(f"{{{labels}}} {slot:.3f}")
    if check.get("error_class") in _NOBODY_LOOKED:
        return
    lines["probe_success"].append(f"{{{labels}}} {int(bool(check.get('ok')))}")
    phases = check.get("phases") or {}
    _add_seconds(lines, "probe_duration_seconds", labels, check.get("latency_ms"))
    _add_seconds(lines, "probe_dns_lookup_time_seconds", labels, phases.get("dns_ms"))
    if row["type"] == "http":
        for phase, name in _HTTP_PHASES.items():
            _add_seconds(lines, "probe_http_duration_seconds", f'{labels},phase="{phase}"', phases.get(name))
        lines["probe_http_status_code"].append(f"{{{labels}}} {check.get('status_code') or 0}")
    elif row["type"] == "ping":
        _add_seconds(lines, "probe_icmp_duration_seconds", f'{labels},phase="resolve"', phases.get("dns_ms"))
        _add_seconds(lines, "probe_icmp_duration_seconds", f'{labels},phase="rtt"', phases.get("wait_ms"))
    ends = (check.get("certificate") or {}).get("not_after")
    if ends:
        expiry = datetime.fromisoformat(ends).timestamp()
        lines["probe_ssl_earliest_cert_expiry"].append(f"{{{labels}}} {expiry:.0f}")


def _add_seconds(lines: Lines, family: str, labels: str, milliseconds: float | None) -> None:
    if milliseconds is not None:
        lines[family].append(f"{{{labels}}} {milliseconds / 1000:.6g}")


def empty_lines() -> Lines:
    return {family: [] for family in FAMILIES}


def expose(lines: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The text, a family at a time; families without a line are left out."""
    for family, values in lines.items():
        text = "".join(f"{family}{value}\n" for value in values)
        if text:
            yield f"# HELP {family} {FAMILIES[family]}\n# TYPE {family} gauge\n{text}"
