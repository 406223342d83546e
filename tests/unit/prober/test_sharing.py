"""Equal parts of specifications are one object, and the specifications stay what they were."""

import copy
from typing import Any

import pytest

from farwatch_events.monitor import DnsMonitor, parse_monitor
from farwatch_prober import sharing
from farwatch_prober.sharing import Sharing

SPECS: list[dict[str, Any]] = [
    {"type": "http", "name": "shop", "url": "http://shop.test/"},
    {"type": "http", "name": "shop", "url": "http://shop.test/", "tags": ["a", "b"], "headers": {"X-Team": "eu"}},
    {
        "type": "http",
        "name": "shop",
        "url": "http://shop.test/",
        "assertions": [{"subject": "status", "operator": "equals", "value": 200}],
    },
    {"type": "port", "name": "db", "host": "db.test", "port": 5432, "tags": ["b", "a"]},
    {"type": "dns", "name": "names", "host": "shop.test", "expected_values": ["192.0.2.1"]},
]


@pytest.mark.parametrize("given", SPECS)
def test_a_shared_specification_says_the_same(given: dict[str, Any]) -> None:
    whole = Sharing()
    for other in SPECS:
        whole.share(parse_monitor(other))
    spec = parse_monitor(given)
    before, fields = copy.deepcopy(spec), set(spec.model_fields_set)
    whole.share(spec)
    assert spec == before
    assert spec.model_dump() == before.model_dump()
    assert spec.model_dump(exclude_unset=True) == before.model_dump(exclude_unset=True)
    assert spec.model_fields_set == fields


def test_equal_parts_are_one_object_and_others_are_not() -> None:
    whole = Sharing()
    one, same, other = (
        parse_monitor({"type": "http", "name": f"{n}", "url": f"http://{n}.test/", "tags": tags})
        for n, tags in enumerate((["a"], ["a"], ["b"]))
    )
    for spec in (one, same, other):
        whole.share(spec)
    assert one.tags is same.tags
    assert one.parents is same.parents
    assert one.model_fields_set is same.model_fields_set
    assert other.tags == ["b"]


@pytest.mark.parametrize("tags", [[f"tag{n}" for n in range(17)], ["t" * 65]])
def test_what_is_long_is_not_kept(tags: list[str]) -> None:
    whole = Sharing()
    specs = [parse_monitor({"type": "dns", "name": "x", "host": "x.test", "expected_values": [*tags]}) for _ in "ab"]
    for spec in specs:
        whole.share(spec)
    assert isinstance(specs[0], DnsMonitor)
    assert isinstance(specs[1], DnsMonitor)
    assert specs[0].expected_values == specs[1].expected_values == tags
    assert specs[0].expected_values is not specs[1].expected_values


def test_only_so_many_parts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PARTS_MAX", 1)
    whole = Sharing()
    specs = [parse_monitor({"type": "http", "name": "x", "url": "http://x.test/", "tags": ["a"]}) for _ in range(2)]
    for spec in specs:
        whole.share(spec)
    assert specs[0].tags == specs[1].tags == ["a"]
    assert specs[0].tags is not specs[1].tags
