"""Which monitors are checked, and in which regions."""

from typing import Any

import pytest

from farwatch_scheduler.catalogue import Catalogue, Unscheduled
from farwatch_scheduler.monitors import Monitor, Row


def row(monitor_id: int = 1, config_version: int = 1, regions: list[str] | None = None, **changes: Any) -> Row:
    spec = {"type": "port", "name": "db", "host": "db", "port": 5432, "interval_seconds": 10, "regions": regions or []}
    return Row.of(monitor_id, config_version, changes.pop("spec", spec), **changes)


def catalogue_of(*rows: Row, regions: tuple[str, ...] = ("eu", "us")) -> Catalogue:
    catalogue = Catalogue()
    for each in rows:
        catalogue.apply(each)
    catalogue.set_open_regions(regions)
    return catalogue


PUSH = {"type": "push", "name": "backup"}


@pytest.mark.parametrize(
    ("unscheduled", "why", "wrong"),
    [
        (row(deleted=True), "deleted", False),
        (row(enabled=False), "paused", False),
        (row(spec=PUSH), "push monitors", False),
        (row(spec={"type": "port", "name": "db", "host": "db"}), "port", True),
        (row(spec={"type": "carrier pigeon"}), "not valid", True),
    ],
)
def test_who_is_not_scheduled_and_why(unscheduled: Row, why: str, wrong: bool) -> None:
    decision = Catalogue().apply(unscheduled)
    assert isinstance(decision, Unscheduled)
    assert why in decision.why
    assert decision.wrong is wrong
    catalogue = catalogue_of(row(), unscheduled)
    assert (len(catalogue), len(catalogue.rings)) == (0, 0)


def test_a_new_version_replaces_the_old_one_on_its_ring() -> None:
    catalogue = catalogue_of(row(config_version=1), row(config_version=2))
    monitor = catalogue.get(1)
    assert isinstance(monitor, Monitor)
    assert (monitor.config_version, monitor.shape.interval_ms, len(catalogue.rings)) == (2, 10_000, 1)


@pytest.mark.parametrize(
    ("wanted", "open_regions", "checked_in"),
    [
        ([], ("eu", "us"), ["eu", "us"]),
        (["us"], ("eu", "us"), ["us"]),
        (["us", "moon"], ("eu", "us"), ["us"]),
        (["moon"], ("eu", "us"), []),
        ([], ("push", "eu"), ["eu"]),
        ([], (), []),
    ],
)
def test_where_a_monitor_is_checked(wanted: list[str], open_regions: tuple[str, ...], checked_in: list[str]) -> None:
    catalogue = catalogue_of(row(regions=wanted), regions=open_regions)
    monitor = catalogue.get(1)
    assert monitor is not None
    assert catalogue.regions_of(monitor) == checked_in
    assert sorted(catalogue.by_region([1])) == checked_in


def test_by_region_keeps_the_order_and_leaves_out_who_went() -> None:
    catalogue = catalogue_of(row(1), row(2, regions=["us"]), row(3))
    parts = {monitor_id: catalogue.get(monitor_id) for monitor_id in (1, 2, 3)}
    assert catalogue.by_region([1, 2, 3, 99]) == {"eu": [parts[1], parts[3]], "us": [parts[1], parts[2], parts[3]]}


def test_outdated_are_the_new_and_the_changed_and_others_the_gone() -> None:
    catalogue = catalogue_of(row(1, 1), row(2, 5), row(3, 1))
    assert catalogue.outdated([(1, 1), (2, 6), (4, 1)]) == [2, 4]
    assert catalogue.others({1, 2, 4}) == [3]
    assert catalogue.outdated([(1, 1), (2, 5), (3, 1)]) == []


def test_monitors_that_differ_in_their_addresses_only_share_the_rest() -> None:
    def http(monitor_id: int, **fields: Any) -> Row:
        spec = {"type": "http", "name": f"shop {monitor_id}", "url": f"http://shop-{monitor_id}/", **fields}
        return row(monitor_id, spec=spec)

    catalogue = catalogue_of(http(1), http(2), http(3, retries=3), http(4, host="not a field of http"))
    one, two, three, four = (catalogue.by_region([each])["eu"][0] for each in (1, 2, 3, 4))
    assert one.shape is two.shape
    assert three.shape is not one.shape
    assert (b"shop 2" in two.body, b"//shop-2/" in two.body, b'"retries":3' in three.body) == (True, True, True)
    # A stranger among the fields is passed over, as in every specification of a newer version.
    assert b"not a field" not in four.body
