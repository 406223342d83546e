"""When a prober believes itself: a table of cases, and what holds for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.monitor import parse_monitor
from farwatch_events.results import ErrorClass
from farwatch_prober.selfcheck import (
    ENOUGH_MONITORS,
    WELL,
    Canary,
    CanaryKind,
    Condition,
    decide_condition,
    decide_names,
    evolve_canary,
    is_in_doubt,
    rests_on_names,
)

KINDS: tuple[CanaryKind, ...] = ("name server", "place", "monitor")


def after(*answers: bool, kind: CanaryKind = "place") -> Canary:
    canary = Canary("a", kind)
    for answered in answers:
        canary = evolve_canary(canary, answered)
    return canary


WELL_PLACE, ONCE_SILENT, SILENT = after(True), after(True, False), after(True, False, False)
NEVER = after(False, False, False)
SERVER, SILENT_SERVER = after(True, kind="name server"), after(True, False, False, kind="name server")
SHOP, SILENT_SHOP = after(True, kind="monitor"), after(True, False, False, kind="monitor")
BLIP_SHOP = after(True, False, kind="monitor")


@pytest.mark.parametrize(
    ("canaries", "healthy"),
    [
        ([], True),
        ([NEVER], True),
        ([ONCE_SILENT], True),
        ([SILENT], False),
        ([SILENT, WELL_PLACE], True),
        ([SILENT, NEVER], False),
        ([after(True, False, False, True)], True),
        # One or two own monitors are never evidence by themselves: they may well be down.
        ([SILENT_SHOP], True),
        ([SILENT_SHOP, SILENT_SHOP], True),
        ([SILENT_SHOP, SILENT_SHOP, NEVER], True),
        ([SILENT_SHOP] * 3, False),
        # A name server that answers: the network is there, whatever all of them say.
        ([SERVER, *[SILENT_SHOP] * 5], True),
        ([SILENT_SERVER, SILENT_SHOP], False),
        ([SILENT_SERVER, SERVER, SILENT_SHOP], True),
        # One that is up speaks for the prober, also alone; a single failure is chance.
        ([SILENT_SERVER, SHOP], True),
        ([SILENT_SERVER, SILENT_SHOP, SILENT_SHOP, SHOP], True),
        ([SILENT_SERVER, SILENT_SHOP, BLIP_SHOP], True),
    ],
)
def test_healthy_until_all_that_answered_fail(canaries: list[Canary], healthy: bool) -> None:
    assert decide_condition(canaries).healthy == healthy


@pytest.mark.parametrize(
    ("asked", "from_memory", "doubt"),
    [
        ([], True, False),
        ([NEVER], True, False),
        ([SERVER], True, False),
        ([SILENT_SERVER], True, True),
        ([SILENT_SERVER, WELL_PLACE], True, False),
        ([SILENT_SERVER, SHOP], True, False),
        ([SERVER, SHOP], True, False),
        ([SERVER, BLIP_SHOP], True, True),  # it may have answered from memory
        ([SERVER, BLIP_SHOP], False, False),  # it had to look, and found its way
        ([SERVER, BLIP_SHOP, SHOP], True, False),
        ([WELL_PLACE, SILENT_SERVER, BLIP_SHOP], True, False),
        ([BLIP_SHOP], True, True),
    ],
)
def test_doubt_while_nothing_that_was_asked_shows_a_network(
    asked: list[Canary], from_memory: bool, doubt: bool
) -> None:
    assert is_in_doubt(asked, from_memory=from_memory) == doubt


@pytest.mark.parametrize(
    ("canaries", "believed"),
    [
        ([], True),
        ([SHOP], True),
        ([SERVER, SILENT_SERVER], True),
        ([SILENT_SERVER, SHOP], False),
        ([SILENT_SERVER, after(False, False, kind="name server")], False),
        ([after(True, False, kind="name server")], True),
    ],
)
def test_names_need_a_name_server(canaries: list[Canary], believed: bool) -> None:
    assert decide_names(canaries).healthy == believed


def test_the_reason_names_them() -> None:
    reason = decide_condition([Canary("1.1.1.1:53", ever_answered=True, failures=2), Canary("never")]).reason
    assert reason is not None
    assert "1.1.1.1:53" in reason
    assert "never" not in reason


def test_what_rests_on_the_probers_own_name_servers() -> None:
    page = parse_monitor({"type": "http", "name": "x", "url": "http://a.test/"})
    record = parse_monitor({"type": "dns", "name": "x", "host": "a.test"})
    of_a_server = parse_monitor({"type": "dns", "name": "x", "host": "a.test", "resolver": "192.0.2.53"})
    assert rests_on_names(page, ErrorClass.DNS)
    assert rests_on_names(record, ErrorClass.DNS)
    assert not rests_on_names(of_a_server, ErrorClass.DNS)
    assert not rests_on_names(page, ErrorClass.CONNECT_TIMEOUT)


canaries = st.builds(
    Canary, name=st.sampled_from("abcdef"), kind=st.sampled_from(KINDS), ever_answered=st.booleans(),
    failures=st.integers(0, 4),
)  # fmt: skip


@given(st.lists(canaries, max_size=8))
def test_one_that_answered_and_has_not_failed_twice_is_enough(some: list[Canary]) -> None:
    condition = decide_condition(some)
    if any(canary.ever_answered and canary.failures < 2 for canary in some):
        assert condition == WELL
    if not condition.healthy:
        proven = [canary for canary in some if canary.ever_answered]
        assert all(canary.failures >= 2 for canary in proven)
        assert len(proven) >= ENOUGH_MONITORS or any(canary.kind != "monitor" for canary in proven)


@given(st.lists(canaries, max_size=8), canaries)
def test_another_canary_that_answers_never_makes_it_worse(some: list[Canary], more: Canary) -> None:
    answering = evolve_canary(more, True)
    assert decide_condition([*some, answering]) == Condition(healthy=True)


@given(st.lists(canaries, max_size=8), st.lists(st.booleans(), max_size=2))
def test_one_or_two_monitors_beside_what_answers_prove_nothing(some: list[Canary], answers: list[bool]) -> None:
    """An outage of all there is to watch is told, as long as there is anything that shows a network, or too little to
    show that there is none."""
    monitors = [after(True, answered, answered, kind="monitor") for answered in answers]
    others = [canary for canary in some if canary.kind != "monitor"]
    if decide_condition(others).healthy:
        assert decide_condition([*others, *monitors]).healthy
