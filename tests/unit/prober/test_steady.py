"""Which own monitors are canaries."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.monitor import parse_monitor
from farwatch_prober.steady import (
    CHOSEN_MOST,
    FORGOTTEN_AFTER_MS,
    OF_ONE_NETWORK_MOST,
    POOL_MOST,
    STEADY_CHECKS,
    Place,
    Pool,
    Sighting,
    Watched,
    choose,
    network_of,
    place_of,
)


def spec(**fields: Any) -> Any:
    return parse_monitor({"type": "port", "name": "x", "host": "a.test", "port": 443} | fields)


def sighting(number: int = 1, address: str | None = "192.0.2.1", outcome: Any = "up", **fields: Any) -> Sighting:
    of = fields.pop("spec", None) or spec(host=f"host-{number}.test")
    return Sighting(number, fields.get("version", 1), of, outcome, address, fields.get("at_ms", 0))


def watched(number: int, network: str = "", *, host: str = "", public: bool = True, ups: int = 9) -> Watched:
    place = Place(host or f"host-{number}.test", 443)
    return Watched(number, 1, place, network or f"10.0.{number}.0/24", public, 60_000, ups)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"type": "http", "url": "http://a.test/x"}, Place("a.test", 80)),
        ({"type": "http", "url": "https://A.test/x"}, Place("a.test", 443)),
        ({"type": "http", "url": "https://[2001:db8::1]:8443/"}, Place("2001:db8::1", 8443)),
        ({"type": "http", "url": "http://a.test/", "proxy": "http://p.test:3128"}, None),
        ({"type": "tls", "host": "a.test", "port": 993}, Place("a.test", 993)),
        ({"type": "port", "host": "[2001:db8::1]", "port": 25}, Place("2001:db8::1", 25)),
        ({"type": "ping", "host": "a.test"}, None),
        ({"type": "dns", "host": "a.test"}, None),
        ({"type": "push"}, None),
    ],
)
def test_where_it_is_reached(fields: dict[str, Any], place: Place | None) -> None:
    assert place_of(parse_monitor({"name": "x"} | fields)) == place


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fd00::1%eth0", "fd00::/48"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("0.0.0.0", ""),
        ("169.254.1.1", ""),
        ("fe80::1%eth0", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_which_neighbourhood(address: str, network: str) -> None:
    assert network_of(address) == network


def test_steady_after_five_answers_and_gone_with_a_failure() -> None:
    pool = Pool()
    for _ in range(STEADY_CHECKS - 1):
        pool.see(sighting())
    assert choose(pool.known.values()) == ()
    pool.see(sighting(outcome="unknown"))  # nobody looked, or nobody believed it
    assert choose(pool.known.values()) == ()
    pool.see(sighting(outcome="degraded"))  # slow, but it answers
    assert [each.monitor_id for each in choose(pool.known.values())] == [1]
    pool.see(sighting(outcome="unknown"))
    assert choose(pool.known.values())
    pool.see(sighting(outcome="down"))
    assert not pool.known


def test_a_change_of_the_monitor_begins_anew() -> None:
    pool = Pool()
    for _ in range(STEADY_CHECKS):
        pool.see(sighting())
    pool.see(sighting(version=2))
    assert pool.known[1].ups == 1


@pytest.mark.parametrize(
    "first",
    [
        sighting(outcome="down"),
        sighting(outcome="unknown"),
        sighting(address=None),
        sighting(address="127.0.0.1"),
        sighting(spec=parse_monitor({"type": "ping", "name": "x", "host": "a.test"})),
    ],
)
def test_what_cannot_be_one(first: Sighting) -> None:
    pool = Pool()
    pool.see(first)
    assert not pool.known


def test_few_and_few_of_one_network() -> None:
    pool = Pool()
    for number in range(1, 10):
        pool.see(sighting(number, "192.0.2.1"))
    assert len(pool.known) == OF_ONE_NETWORK_MOST
    for number in range(10, 100):
        pool.see(sighting(number, f"198.51.{number}.1"))
    assert len(pool.known) == POOL_MOST
    assert pool.is_full


def test_forgotten_when_nothing_is_heard_for_long() -> None:
    pool = Pool()
    pool.see(sighting(1, "192.0.2.1", at_ms=0))
    pool.see(sighting(2, "198.51.100.1", at_ms=200_000))
    pool.forget(FORGOTTEN_AFTER_MS + 180_001)
    assert list(pool.known) == [2]


def chosen(*some: Watched, before: tuple[int, ...] = ()) -> list[int]:
    return [each.monitor_id for each in choose(some, before)]


def test_whom_it_chooses() -> None:
    assert chosen(watched(1, "192.0.2.0/24"), watched(2, "192.0.2.0/24")) == [1]
    assert chosen(watched(1, host="a.test"), watched(2, host="a.test")) == [1]
    assert chosen(watched(1, ups=4)) == []
    assert chosen(watched(1, public=False), watched(2)) == [2], "neighbours answer although the uplink is gone"
    assert chosen(watched(1, public=False), watched(2, public=False)) == [1, 2]
    assert chosen(watched(1, ups=4), watched(2, public=False)) == [2]
    assert len(chosen(*(watched(number) for number in range(1, 10)))) == CHOSEN_MOST
    assert chosen(*(watched(number) for number in range(1, 10)), before=(8, 9))[:2] == [8, 9]
    assert chosen(watched(1, ups=99), watched(2, ups=5), before=(2,)) == [2, 1]


watched_ones = st.lists(
    st.builds(
        watched, st.integers(1, 60), st.sampled_from([f"10.0.{n}.0/24" for n in range(12)]),
        host=st.sampled_from("abcdefgh"), public=st.booleans(), ups=st.integers(0, 9),
    ),
    max_size=40, unique_by=lambda each: each.monitor_id,
)  # fmt: skip


@given(watched_ones, st.frozensets(st.integers(1, 60), max_size=5))
def test_the_chosen_have_nothing_in_common(some: list[Watched], before: frozenset[int]) -> None:
    found = choose(some, before)
    assert len(found) <= CHOSEN_MOST
    assert len({each.network for each in found}) == len(found) == len({each.place.host for each in found})
    assert all(each.is_steady for each in found)
    assert len({each.is_public for each in found}) <= 1
    assert bool(found) == any(each.is_steady for each in some)


@given(watched_ones)
def test_they_stay_while_they_are_steady(some: list[Watched]) -> None:
    found = choose(some)
    assert {each.monitor_id for each in choose(reversed(some), [each.monitor_id for each in found])} == {
        each.monitor_id for each in found
    }


@given(st.lists(st.tuples(st.integers(1, 80), st.integers(0, 40), st.sampled_from(["up", "down", "unknown"]))))
def test_the_pool_stays_small(seen: list[tuple[int, int, str]]) -> None:
    pool = Pool()
    for number, network, outcome in seen:
        pool.see(sighting(number, f"192.0.{network}.1", outcome))
        networks = [each.network for each in pool.known.values()]
        assert len(networks) <= POOL_MOST
        assert all(networks.count(network) <= OF_ONE_NETWORK_MOST for network in networks)
