"""The content guard in the fold: a good answer whose page is not the one that was learned counts as degraded."""

from farwatch_events.guard import Guard, observe
from farwatch_events.results import CheckResult


def tell_differences(guard: Guard, result: CheckResult) -> CheckResult:
    """The result as it counts: what is new on the page joins its reasons."""
    if result.page is None or not result.ok:
        return result
    found = observe(guard, result.page).differences
    if not found:
        return result
    return result.model_copy(update={"outcome": "degraded", "reasons": [*result.reasons, *found]})


def learn(guard: Guard, result: CheckResult, outcome: str) -> Guard:
    """What is known after the result; `outcome` as it counts, unknown from an unhealthy prober."""
    if result.page is None or outcome not in ("up", "degraded"):
        return guard
    return observe(guard, result.page)
