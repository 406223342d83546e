"""First failure and first success: what some want to be told before anything is decided."""

from farwatch_events.events import DomainEvent, FirstFailure, FirstSuccess, VerdictChanged
from farwatch_events.results import CheckResult
from farwatch_incidents.rules.draft import Draft
from farwatch_incidents.rules.votes import Heard


def note_moments(draft: Draft, region: str, heard: Heard, result: CheckResult) -> None:
    """First failure and first success, told apart from those that come with down or with the end of an incident."""
    for moment in heard.moments:
        if moment == "first_failure":
            failed = next((each for each in result.tries if each.error_class is not None), None)
            event: DomainEvent = FirstFailure(
                at_ms=draft.around.now_ms,
                monitor_id=draft.state.monitor_id,
                region=region,
                slot_ms=result.slot_ms,
                error_class=failed.error_class if failed else result.error_class,
                error=failed.error if failed else result.error,
                confirmed=any(isinstance(e, VerdictChanged) and e.after == "down" for e in draft.events),
            )
        else:
            event = FirstSuccess(
                at_ms=draft.around.now_ms,
                monitor_id=draft.state.monitor_id,
                region=region,
                slot_ms=result.slot_ms,
                latency_ms=result.latency_ms,
                recovered=draft.incident is not None and draft.incident.how_resolved == "recovered",
            )
        draft.events.append(event)
