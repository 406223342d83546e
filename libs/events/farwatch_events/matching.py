"""Which policies and silences an alert fits, and why. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from farwatch_events.policies import DEFAULT_POLICY, Match, Policy

DEFAULT_POLICY_ID = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about, as matchers see it. `severity` is None for news that has none."""

    monitor_id: int | None = None
    monitor_type: str = ""
    tags: frozenset[str] = frozenset()
    severity: str | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberedPolicy:
    """A policy as stored. `id` 0 is the default one, which is nowhere stored."""

    id: int
    policy: Policy

    @property
    def title(self) -> str:
        return "the default policy" if self.id == DEFAULT_POLICY_ID else f"policy “{self.policy.name}”"


@dataclass(frozen=True, slots=True)
class NumberedSilence:
    id: int
    match: Match
    reason: str
    starts_ms: int
    ends_ms: int


IMPLICIT = NumberedPolicy(DEFAULT_POLICY_ID, DEFAULT_POLICY)


def mismatch(match: Match, subject: Subject) -> str | None:
    """Why the subject does not fit, None when it does."""
    if match.monitors and subject.monitor_id not in match.monitors:
        return "it is about other monitors"
    if match.tags and subject.tags.isdisjoint(match.tags):
        return f"the monitor has none of the tags {', '.join(match.tags)}"
    if match.types and subject.monitor_type not in match.types:
        return f"it is about monitors of type {', '.join(match.types)}"
    if match.severities and subject.severity is not None and subject.severity not in match.severities:
        return f"it is about severity {', '.join(match.severities)}"
    if match.regions and subject.regions and not set(match.regions) & set(subject.regions):
        return f"it is about regions {', '.join(match.regions)}"
    return None


def in_order(policies: Iterable[NumberedPolicy]) -> list[NumberedPolicy]:
    """Enabled ones, in the order in which they are tried."""
    return sorted((each for each in policies if each.policy.enabled), key=lambda each: (each.policy.position, each.id))


def select_policies(policies: Iterable[NumberedPolicy], subject: Subject) -> list[NumberedPolicy]:
    """Those that decide about the subject; the default one when none fits. Never empty."""
    chosen: list[NumberedPolicy] = []
    for each in in_order(policies):
        if mismatch(each.policy.match, subject) is None:
            chosen.append(each)
            if not each.policy.proceed:
                return chosen
    return chosen or [IMPLICIT]


def find_silence(silences: Sequence[NumberedSilence], subject: Subject, at_ms: int) -> NumberedSilence | None:
    """The one that lasts longest among those that hold now."""
    holding = [s for s in silences if s.starts_ms <= at_ms < s.ends_ms and mismatch(s.match, subject) is None]
    return max(holding, key=lambda each: each.ends_ms, default=None)
