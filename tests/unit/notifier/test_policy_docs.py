"""docs/alerting.md names every field of a policy."""

from pathlib import Path

from farwatch_events.policies import Grouping, Match, Policy, QuietHours, Step

PAGE = (Path(__file__).parents[3] / "docs" / "alerting.md").read_text(encoding="utf-8")


def test_every_field_of_a_policy_is_documented() -> None:
    section = PAGE.split("## Policies\n", 1)[1].split("\n## ", 1)[0]
    names = {name for model in (Policy, Match, Step, Grouping, QuietHours) for name in model.model_fields}
    assert sorted(name for name in names if f"`{name}`" not in section) == []
