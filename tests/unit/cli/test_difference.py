"""What `farwatch apply` decides to change."""

from typing import Any

import pytest

from farwatch_cli.difference import compare, specification, without_defaults
from farwatch_events.masking import mask_secrets
from farwatch_events.monitor import dump_monitor, parse_monitor

Monitor = dict[str, Any]


def monitor(name: str = "shop", **fields: Any) -> Monitor:
    return dump_monitor(parse_monitor({"name": name, "type": "http", "url": "https://shop.test/", **fields}))


def answer(number: int, wanted: Monitor) -> Monitor:
    """As the API shows it: an id, a state, secrets masked."""
    return {"id": number, **mask_secrets(wanted), "state": "up", "last_check": {"ok": True}}


def test_a_new_name_is_created() -> None:
    difference = compare([monitor()], [])
    assert difference.create == [monitor()]
    assert not difference.is_empty


def test_a_second_run_finds_nothing() -> None:
    wanted = [monitor(), monitor("docs", interval_seconds=30)]
    difference = compare(wanted, [answer(n, m) for n, m in enumerate(wanted)])
    assert difference.is_empty
    assert difference.unchanged == 2


def test_a_changed_field_is_shown_with_both_values() -> None:
    difference = compare([monitor(interval_seconds=30)], [answer(7, monitor(interval_seconds=60))])
    (update,) = difference.update
    assert update.id == 7
    assert update.fields == {"interval_seconds": (60, 30)}


def test_a_field_left_out_means_its_default() -> None:
    (update,) = compare([monitor()], [answer(7, monitor(retries=5))]).update
    assert update.fields == {"retries": (5, 1)}


@pytest.mark.parametrize(("prune", "deleted"), [(False, []), (True, ["old"])])
def test_only_prune_deletes(prune: bool, deleted: list[str]) -> None:
    difference = compare([], [answer(1, monitor("old"))], prune=prune)
    assert [m["name"] for m in difference.delete] == deleted


def test_secrets_are_not_compared_but_can_be_sent_again() -> None:
    wanted = monitor(auth={"type": "bearer", "token": "new"})
    present = [answer(1, monitor(auth={"type": "bearer", "token": "old"}))]
    silent = compare([wanted], present)
    assert silent.is_empty
    assert silent.secrets_not_compared == 1
    (update,) = compare([wanted], present, send_secrets=True).update
    assert update.monitor["auth"]["token"] == "new"
    assert update.fields == {}


@pytest.mark.parametrize(
    "written",
    [
        {"name": "a", "type": "http", "url": "https://a.test/"},
        {"name": "b", "type": "port", "host": "b.test", "port": 22, "interval_seconds": 5, "tags": ["x"]},
        {"name": "c", "type": "http", "url": "https://c.test/", "interval_seconds": 5, "timeout_seconds": 2.0},
        {"name": "d", "type": "push", "grace_seconds": 5},
    ],
)
def test_an_export_is_as_short_as_what_was_written_and_means_the_same(written: Monitor) -> None:
    full = dump_monitor(parse_monitor(written))
    assert without_defaults(full) == written
    assert specification(answer(3, full)) == full
