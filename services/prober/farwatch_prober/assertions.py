"""Whether what a try saw is what was expected, in the prober's terms of failure. Pure."""

from collections.abc import Sequence

from farwatch_events.results import ErrorClass
from farwatch_prober.outcome import ProbeFailure
from farwatch_runtime.expectations import Facts, Finding, Rule, holds, plain_record
from farwatch_runtime.expectations import evaluate as evaluate_rules
from farwatch_runtime.patterns import PatternError

__all__ = ["Facts", "Finding", "Rule", "evaluate", "holds", "plain_record"]


def evaluate(rules: Sequence[Rule], facts: Facts) -> list[Finding]:
    """Raises ProbeFailure (internal) for a pattern that this prober cannot run."""
    try:
        return evaluate_rules(rules, facts)
    except PatternError as error:
        raise ProbeFailure(ErrorClass.INTERNAL, f"The pattern of an assertion {error}") from None
