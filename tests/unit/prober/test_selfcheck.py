from farwatch_prober.selfcheck import Canary, Condition, decide_condition, evolve_canary


def after(*answers: bool) -> Canary:
    canary = Canary("a")
    for answered in answers:
        canary = evolve_canary(canary, answered)
    return canary


def test_no_canary_or_none_that_ever_answered_is_healthy() -> None:
    assert decide_condition([]) == Condition(healthy=True)
    assert decide_condition([after(False, False, False)]).healthy


def test_unhealthy_when_all_that_answered_fail_twice() -> None:
    assert decide_condition([after(True, False)]).healthy
    assert not decide_condition([after(True, False, False)]).healthy
    assert decide_condition([after(True, False, False), after(True, True)]).healthy
    assert not decide_condition([after(True, False, False), after(False, False)]).healthy
    assert decide_condition([after(True, False, False, True)]).healthy


def test_the_reason_names_them() -> None:
    reason = decide_condition([Canary("1.1.1.1:53", ever_answered=True, failures=2), Canary("never")]).reason
    assert reason is not None
    assert "1.1.1.1:53" in reason
    assert "never" not in reason
