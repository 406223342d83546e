"""How long an alert waits for what its monitor stands behind to be looked at: until that is known to be up, not longer
than the next of its own checks would take. Pure."""

from collections.abc import Iterable

from farwatch_events.escalation import Escalation, Hold
from farwatch_events.policies import Policy
from farwatch_notifier.facts import Look, ParentLooks

LONGEST_WAIT_MS = 5 * 60_000
LOOK_AGAIN_MS = (2_000, 15_000)
"""A quarter of what was waited already, within these."""


def wait_for_check(policy: Policy, escalation: Escalation, above: Iterable[ParentLooks], now_ms: int) -> Hold | None:
    """None when there is nobody to wait for, or it took too long. Only what is down can be down for its parent."""
    if escalation.moment != "down" or not escalation.failed_ms:
        return None
    for parent in above:
        until_ms = escalation.started_ms + longest_wait_ms(policy, parent)
        if now_ms < until_ms and (why := why_undecided(parent, escalation.failed_ms)) is not None:
            shortest_ms, longest_ms = LOOK_AGAIN_MS
            pause_ms = min(max((now_ms - escalation.started_ms) // 4, shortest_ms), longest_ms)
            return Hold("check", f"waits for {parent.name} to be {why}", min(until_ms, now_ms + pause_ms))
    return None


def longest_wait_ms(policy: Policy, parent: ParentLooks) -> int:
    """From when the trouble was found."""
    next_check_ms = parent.interval_ms + parent.longest_check_ms
    return max(1000 * policy.parent_wait_seconds, min(LONGEST_WAIT_MS, next_check_ms))


def why_undecided(parent: ParentLooks, failed_ms: int) -> str | None:
    """What has still to happen before the parent is known to be up since `failed_ms`; None when it is, when nobody can
    look, or when it is known to be no better and people were told, or chose not to be."""
    if not parent.looks or parent.verdict == "down":
        return None
    since = [each for each in parent.looks if each.slot_ms >= failed_ms]
    up = [each for each in since if not each.failed and each.vote in ("up", "degraded")]
    if len(up) < _enough(len(parent.looks)):
        return "confirmed" if any(_fails(each) for each in since) else "checked"
    failing_ms = max((each.slot_ms for each in since if _fails(each)), default=0)
    settled = parent.verdict == "degraded" or failing_ms < max(each.slot_ms for each in up)
    return None if settled else "confirmed"


def _fails(look: Look) -> bool:
    return look.failed or look.vote == "down"


def _enough(regions: int) -> int:
    """So many that see it up leave no quorum for down, which is all of one or two, more than half of more."""
    needed = regions if regions <= 2 else regions // 2 + 1
    return regions - needed + 1
