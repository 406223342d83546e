"""The sentences: why a verdict is what it is, in words for people."""

from collections.abc import Mapping, Sequence

from farwatch_events.events import Verdict
from farwatch_incidents.rules.quorum import Ballot, Ruling
from farwatch_incidents.rules.votes import LocalState

_HOUR, _MINUTE = 3600, 60


def listed(names: Sequence[str]) -> str:
    """eu / eu and us / eu, us and ap"""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def lasting(seconds: int) -> str:
    """45s, 12m 5s, 2h 30m, 3d 4h: the two largest units, as they are said."""
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m {seconds % _MINUTE}s"
    if seconds < 24 * _HOUR:
        return f"{seconds // _HOUR}h {seconds % _HOUR // _MINUTE}m"
    return f"{seconds // (24 * _HOUR)}d {seconds // _HOUR % 24}h"


def failure(local: LocalState) -> str:
    """failed 2 of 2 tries / failed / failed 3 tries in a row"""
    if local.failed_tries > local.attempts:
        return f"failed {local.failed_tries} tries in a row"
    return "failed" if local.attempts <= 1 else f"failed {local.failed_tries} of {local.attempts} tries"


def explain(ruling: Ruling, ballots: tuple[Ballot, ...], before: Verdict) -> str:
    """The reason of a verdict."""
    if ruling.verdict == "pending":
        return "Pending: no result yet"
    if ruling.verdict == "unknown":
        return f"Unknown: {_no_voters(ballots)}"
    if ruling.verdict == "down":
        return _down(ballots) + _few_voting(ballots)
    if ruling.verdict == "degraded":
        return _degraded(ballots) + _few_voting(ballots)
    return _up(ballots, before) + _few_voting(ballots)


def explain_vote(region: str, local: LocalState) -> str:
    """A region's vote after a result: eu failed 2 of 2 tries: connection refused"""
    if local.vote == "down":
        verb = "confirmed: " if local.confirmed else ""
        return f"{region} {verb}{failure(local)}: {local.error or local.error_class or 'no reason given'}"
    if local.vote == "degraded":
        return f"{region} answered, but {local.error or 'not as it should'}"
    if local.vote == "up":
        return f"{region} answered"
    return f"{region} cannot tell: {local.error or local.error_class or 'no reason given'}"


def _saying(ballots: tuple[Ballot, ...], *says: str) -> list[Ballot]:
    return [ballot for ballot in ballots if ballot.says in says]


def _names(ballots: Sequence[Ballot]) -> str:
    return listed([ballot.region for ballot in ballots])


def _no_voters(ballots: tuple[Ballot, ...]) -> str:
    if not ballots:
        return "no region checks this monitor"
    return "no region can vote (" + "; ".join(f"{b.region}: {b.why_not or 'no vote'}" for b in ballots) + ")"


def _down(ballots: tuple[Ballot, ...]) -> str:
    down, up = _saying(ballots, "down"), _saying(ballots, "up", "degraded")
    if not down:
        return f"Down: not enough regions see it up again (only {_names(up)})"
    sentence = f"Down: {_who_failed(down)}"
    return f"{sentence} ({_names(up)} saw it up)" if up else sentence


def _who_failed(down: list[Ballot]) -> str:
    """eu and us both failed 2 of 2 tries: connection refused"""
    causes: dict[str, dict[str, str]] = {}
    for ballot in down:
        if ballot.local is not None:
            error = str(ballot.local.error or ballot.local.error_class or "no reason given")
            causes.setdefault(error, {})[ballot.region] = failure(ballot.local)
    return "; ".join(f"{_together(failures)}: {error}" for error, failures in causes.items())


def _together(failures: Mapping[str, str]) -> str:
    """Regions with how each of them failed, in one clause where it was the same."""
    regions, ways = list(failures), set(failures.values())
    all_of_them = {1: "", 2: " both"}.get(len(regions), " all")
    return f"{listed(regions)}{all_of_them} {ways.pop() if len(ways) == 1 else 'failed'}"


def _degraded(ballots: tuple[Ballot, ...]) -> str:
    down, degraded = _saying(ballots, "down"), _saying(ballots, "degraded")
    if down:
        up = _saying(ballots, "up", "degraded")
        return f"Degraded: down from {_names(down)} only: {_who_failed(down)} ({_names(up)} saw it up)"
    errors = dict.fromkeys(str(b.local.error or "slow") for b in degraded if b.local)
    return f"Degraded: seen from {_names(degraded)}: {'; '.join(errors)}"


def _up(ballots: tuple[Ballot, ...], before: Verdict) -> str:
    up, down = _saying(ballots, "up", "degraded"), _saying(ballots, "down")
    sentence = f"{'Up again' if before in ('down', 'degraded') else 'Up'}: {_names(up)} answered"
    return f"{sentence} ({_names(down)} did not, so far)" if down else sentence


def _few_voting(ballots: tuple[Ballot, ...]) -> str:
    voting = sum(ballot.counted for ballot in ballots)
    if 2 * voting >= len(ballots):
        return ""
    return f"; only {voting} of {len(ballots)} regions {'votes' if voting == 1 else 'vote'}"
