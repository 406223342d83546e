"""From rows to what the API answers. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from farwatch_api.commands.specs import shown
from farwatch_api.envelope import timestamp
from farwatch_api.rows import Row
from farwatch_events.masking import MASK
from farwatch_events.monitor import MONITOR_TYPES, fields_of


def moment(value: datetime | None) -> str | None:
    return timestamp(value) if value is not None else None


def monitor(row: Row, uptime: Mapping[str, float | None], base_url: str, *, may_write: bool) -> dict[str, Any]:
    """A monitor as it is answered: its specification with masked secrets, and how it is."""
    answer: dict[str, Any] = {"id": row["id"], **specification(row), "tags": list(row["tags"])}
    answer["enabled"] = row["enabled"]
    if row["push_token"] is not None:
        answer["push_url"] = f"{base_url}/push/{row['push_token'] if may_write else MASK}"
    answer |= {
        "state": row["state"],
        "state_since": moment(row["since"]) or moment(row["created_at"]),
        "reason": reason(row),
        "verdict": row["verdict"] or "pending",
        "flapping": row["flapping"],
        "incident_id": row["incident_id"],
        "uptime": dict(uptime),
        "last_check": row["last_check"],
        "config_version": row["config_version"],
        "created_at": moment(row["created_at"]),
        "updated_at": moment(row["updated_at"]),
    }
    return answer


def specification(row: Row) -> dict[str, Any]:
    """The stored fields, masked, in the order of the model; one that a newer version added has its default."""
    stored = shown(row["spec"])
    if row["type"] not in MONITOR_TYPES:
        return stored
    fields = {
        name: stored[name] if name in stored else field.get_default(call_default_factory=True)
        for name, field in fields_of(row["type"]).items()
    }
    return {"name": row["name"], "type": row["type"], **fields}


def reason(row: Row) -> str:
    """The sentence behind the state."""
    if row["state"] == "paused":
        return "Paused: it is not checked until it is resumed."
    if row["state"] == "maintenance":
        return f"In maintenance. {row['reason']}".strip()
    return row["reason"] or "Waiting for the first result."


def incident(row: Row, now: datetime) -> dict[str, Any]:
    end = row["resolved_at"] or now
    seconds = max(0, int((end - row["opened_at"]).total_seconds()))  # as the event and the messages have it
    return {
        "id": row["id"],
        "monitor_id": row["monitor_id"],
        "monitor_name": row["monitor_name"],
        "state": row["state"],
        "severity": row["severity"],
        "opened_at": moment(row["opened_at"]),
        "acknowledged_at": moment(row["acknowledged_at"]),
        "acknowledged_by": row["acknowledged_by"],
        "resolved_at": moment(row["resolved_at"]),
        "how_resolved": row["how_resolved"],
        "duration_seconds": seconds,
        "duration": duration(seconds),
        "cause": {"error_class": row["error_class"], "error": row["error"]},
        "reason": row["reason"],
        "regions": list(row["regions"]),
        "suppressed": row["suppressed"],
        "group_id": row["group_id"],
        "group_by": row["group_by"],
    }


def duration(seconds: int) -> str:
    """The two largest units: "2h 30m", "45s", "3d 4h"."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    for index, (unit, size) in enumerate(units):
        count, rest = divmod(seconds, size)
        if count or size == 1:
            following = units[index + 1 : index + 2]
            second = "".join(f" {rest // small}{name}" for name, small in following if rest >= small)
            return f"{count}{unit}{second}"
    return "0s"


def timeline_entry(row: Row) -> dict[str, Any]:
    return {
        "seq": row["seq"],
        "at": moment(row["at"]),
        "kind": row["kind"],
        "sentence": row["sentence"],
        "actor": row["actor"],
        "data": row["data"],
    }


def delivery(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "channel_id": row["channel_id"],
        "channel_name": row["channel_name"],
        "channel_type": row["channel_type"],
        "moment": row["moment"],
        "state": row["state"],
        "attempts": row["attempts"],
        "reason": row["reason"],
        "answer": row["answer"],
        "error": row["error"],
        "created_at": moment(row["created_at"]),
        "delivered_at": moment(row["delivered_at"]),
        "next_attempt_at": moment(row["next_attempt_at"]) if row["state"] == "pending" else None,
    }


def check(row: Row) -> dict[str, Any]:
    """One raw result."""
    return {
        "slot": moment(row["slot"]),
        "region": row["region"],
        "kind": row["kind"] or "scheduled",
        "ok": row["outcome"] in ("up", "degraded"),
        "outcome": row["outcome"],
        "latency_ms": rounded(row["latency_ms"]),
        "phases": {name: rounded(row[name]) for name in PHASES},
        "late_ms": row["late_ms"],
        "status_code": row["status_code"],
        "attempts": row["attempts"],
        "error_class": row["error_class"],
        "error": row["error"],
    }


PHASES = ("dns_ms", "connect_ms", "tls_ms", "wait_ms", "transfer_ms")


def rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(float(value), digits)
