"""What each event makes the scheduler do."""

import pytest

from farwatch_events.events import (
    ConfirmationRequested,
    DomainEvent,
    EventMeta,
    MonitorCreated,
    MonitorDeleted,
    MonitorPaused,
    MonitorResumed,
    MonitorUpdated,
    RecordedEvent,
    RegionDeleted,
    RegionRegistered,
    RegionSilenced,
    UserDeleted,
)
from farwatch_scheduler.reactions import Confirmation, Reactions, decide_reactions

NOW = 1_790_000_000_000
CREATED = MonitorCreated(at_ms=NOW, monitor_id=7, config_version=1, spec={})
UPDATED = MonitorUpdated(at_ms=NOW, monitor_id=7, config_version=2, changed=["url"], spec={})
PAUSED = MonitorPaused(at_ms=NOW, monitor_id=7, config_version=3)
RESUMED = MonitorResumed(at_ms=NOW, monitor_id=7, config_version=4)
DELETED = MonitorDeleted(at_ms=NOW, monitor_id=7)
CONFIRM = ConfirmationRequested(at_ms=NOW, monitor_id=7, region="us", failed_slot_ms=NOW - 900, reason="eu failed")


def recorded(event: DomainEvent, age_ms: int = 50) -> RecordedEvent:
    return RecordedEvent(
        position=1,
        id="id-1",
        stream="s",
        stream_version=1,
        type=event.type,
        version=1,
        data=event.model_dump(mode="json"),
        meta=EventMeta(actor="user:1"),
        recorded_at_ms=NOW - age_ms,
    )


@pytest.mark.parametrize(
    ("event", "reactions"),
    [
        (CREATED, Reactions(reread={7}, check={7})),
        (UPDATED, Reactions(reread={7}, check={7})),
        (RESUMED, Reactions(reread={7}, check={7})),
        (PAUSED, Reactions(reread={7})),
        (DELETED, Reactions(reread={7})),
        (CONFIRM, Reactions(confirmations=[Confirmation(7, "us", NOW - 900, "id-1")])),
        (
            CONFIRM.model_copy(update={"all_tries": True}),
            Reactions(confirmations=[Confirmation(7, "us", NOW - 900, "id-1", all_tries=True)]),
        ),
        (RegionRegistered(at_ms=NOW, region="eu"), Reactions(regions_changed=True)),
        (RegionDeleted(at_ms=NOW, region="eu"), Reactions(regions_changed=True)),
        (RegionSilenced(at_ms=NOW, region="eu", last_seen_ms=NOW), Reactions()),
        (UserDeleted(at_ms=NOW, user_id=1), Reactions()),
    ],
    ids=lambda each: each.type if isinstance(each, DomainEvent) else "",
)
def test_each_event(event: DomainEvent, reactions: Reactions) -> None:
    assert decide_reactions([recorded(event)], NOW) == reactions


def test_old_events_only_bring_the_configuration_up_to_date() -> None:
    old = [recorded(event, age_ms=60_001) for event in (CREATED, CONFIRM, UPDATED)]
    assert decide_reactions(old, NOW) == Reactions(reread={7})


def test_a_monitor_edited_ten_times_is_read_and_checked_once() -> None:
    assert decide_reactions([recorded(CREATED)] + [recorded(UPDATED)] * 9, NOW) == Reactions(reread={7}, check={7})
