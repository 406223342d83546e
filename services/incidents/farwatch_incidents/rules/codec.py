"""States as compact JSON for their rows, and back. Positions are fixed: new fields go to the end."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from farwatch_events.events import RegionVote
from farwatch_events.guard import UNLEARNED, Guard
from farwatch_events.results import CheckResult, ErrorClass, Evidence
from farwatch_incidents.rules.draft import MonitorState
from farwatch_incidents.rules.flapping import Flapping
from farwatch_incidents.rules.identity import Window
from farwatch_incidents.rules.votes import LocalState


def dump_local(state: LocalState) -> list[Any]:
    """Everything but vote and slot_ms, which have columns of their own."""
    return [
        state.voted_ms,
        state.rank,
        state.config_version,
        state.failed_tries,
        state.attempts,
        state.degraded_run,
        state.down_slots,
        state.failing_since_ms,
        int(state.answered),
        int(state.confirmed),
        state.asked_slot_ms,
        state.asked_at_ms,
        state.deadline_ms,
        _dump_window(state.scheduled),
        _dump_window(state.confirmation),
        _dump_window(state.manual),
        state.error_class,
        state.error,
        state.evidence.model_dump(mode="json", exclude_defaults=True) if state.evidence else None,
        list(state.shares),
        state.run_since_ms,
        int(state.stale),
        {} if state.guard is UNLEARNED else state.guard.model_dump(mode="json", exclude_defaults=True),
        [state.run_started_ms, state.run_id] if state.run_started_ms else [],
        [moment for span in state.unheard for moment in span],
    ]


def load_local(vote: Any, slot_ms: int, data: list[Any]) -> LocalState:
    run = (data[23] if len(data) > 23 else None) or (0, "")
    unheard = data[24] if len(data) > 24 else []
    return LocalState(
        vote=vote,
        slot_ms=slot_ms,
        voted_ms=data[0],
        rank=data[1],
        config_version=data[2],
        failed_tries=data[3],
        attempts=data[4],
        degraded_run=data[5],
        down_slots=data[6],
        failing_since_ms=data[7],
        answered=bool(data[8]),
        confirmed=bool(data[9]),
        asked_slot_ms=data[10],
        asked_at_ms=data[11],
        deadline_ms=data[12],
        scheduled=_load_window(data[13]),
        confirmation=_load_window(data[14]),
        manual=_load_window(data[15]),
        error_class=ErrorClass(data[16]) if data[16] else None,
        error=data[17],
        evidence=Evidence.model_validate(data[18]) if data[18] else None,
        shares=tuple(data[19]) if len(data) > 19 else (),
        run_since_ms=data[20] if len(data) > 20 else 0,
        stale=bool(data[21]) if len(data) > 21 else False,
        guard=Guard.model_validate(data[22]) if len(data) > 22 and data[22] else UNLEARNED,
        run_started_ms=run[0],
        run_id=run[1],
        unheard=tuple(zip(unheard[::2], unheard[1::2], strict=True)),
    )


def _dump_window(window: Window) -> list[int]:
    return [window.newest_ms, *(number for run in window.runs for number in run)]


def _load_window(data: list[int]) -> Window:
    return Window(data[0], tuple(zip(data[1::2], data[2::2], strict=True)))


def dump_monitor_state(state: MonitorState) -> dict[str, Any]:
    """What has no column of its own in health.verdicts."""
    return {
        "down": state.is_down,
        "held": state.held,
        "active_since_ms": state.active_since_ms,
        "changes": list(state.flapping.changes_ms),
    }


def load_monitor_state(monitor_id: int, row: dict[str, Any]) -> MonitorState:
    """From the columns of health.verdicts, `since_ms` in milliseconds; local states and incident are added later."""
    data = row["state"]
    return MonitorState(
        monitor_id=monitor_id,
        verdict=row["verdict"],
        since_ms=row["since_ms"],
        reason=row["reason"],
        rule=row["rule"],
        votes=tuple(RegionVote.model_validate(vote) for vote in row["votes"]),
        is_down=data.get("down", False),
        held=data.get("held", False),
        active_since_ms=data.get("active_since_ms", 0),
        flapping=Flapping(tuple(data.get("changes", ())), row["flapping"]),
    )


def dump_votes(votes: tuple[RegionVote, ...]) -> list[dict[str, Any]]:
    return [vote.model_dump(mode="json") for vote in votes]


def last_check(result: CheckResult, region: str, guard: Guard = UNLEARNED) -> dict[str, Any]:
    """The `last_check` of the REST API. `guard` is what the content guard knows after the result, if it looked."""
    certificate = result.certificate
    phases = result.phases
    return {
        "slot": rfc3339(result.slot_ms),
        "region": region,
        "ok": result.ok,
        "outcome": result.outcome,
        "latency_ms": result.latency_ms,
        "phases": {
            "dns_ms": phases.dns_ms,
            "connect_ms": phases.connect_ms,
            "tls_ms": phases.tls_ms,
            "wait_ms": phases.wait_ms,
            "transfer_ms": phases.transfer_ms,
        },
        "status_code": result.status_code,
        "address": result.address,
        "attempts": result.attempts,
        "error_class": result.error_class,
        "error": result.error,
        "reasons": list(result.reasons),
        "assertions": [assertion.model_dump(mode="json") for assertion in result.assertions],
        "message": result.push.message if result.push else "",
        "certificate": None
        if certificate is None
        else {
            "not_after": rfc3339(certificate.not_after_ms),
            "days": certificate.days,
            "subject": certificate.subject,
            "issuer": certificate.issuer,
        },
        "content_guard": None
        if result.page is None
        else {"learned": guard.has_learned, "answers": guard.samples, "differences": list(guard.differences)},
    }


def rfc3339(ms: int) -> str:
    """2026-01-01T12:00:00Z, with milliseconds when there are any. ValueError outside the years 1 to 9999."""
    seconds, rest = divmod(ms, 1000)
    return f"{_whole_second(seconds)}.{rest:03d}Z" if rest else f"{_whole_second(seconds)}Z"


@lru_cache(maxsize=1024)
def _whole_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
