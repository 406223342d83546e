"""docs/alerting.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from farwatch_events.apprise_urls import REFUSED_PARAMETERS
from farwatch_events.channels import CHANNEL_TYPES, MOMENTS
from farwatch_events.placeholders import PLACEHOLDERS
from farwatch_notifier.channels.webhook import TYPES, WebhookBody, render, sign
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.registry import CHANNELS
from tests.unit.notifier.samples import NOW_MS
from tests.unit.notifier.test_looks import SIGNING_SECRET, plain_alert

PAGE = (Path(__file__).parents[3] / "docs" / "alerting.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def test_every_channel_type_can_send_and_is_documented_with_its_fields() -> None:
    assert set(CHANNELS) == set(CHANNEL_TYPES)
    for kind, model in CHANNEL_TYPES.items():
        section = PAGE.split(f"### {kind}\n", 1)[1].split("\n### ", 1)[0]
        assert [name for name in model.model_fields if f"`{name}`" not in section] == []


def test_every_placeholder_and_every_refusal_of_apprise_is_documented() -> None:
    assert [name for name in PLACEHOLDERS if f"`{{{{{name}}}}}`" not in PAGE] == []
    assert [name for name in REFUSED_PARAMETERS if f"`{name}`" not in PAGE] == []


def test_every_moment_type_and_metric_is_documented() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    metrics = [f"{m.name}_total" if m.type == "counter" else m.name for m in registry.collect()]
    assert [name for name in [*MOMENTS, *TYPES.values(), *metrics] if f"`{name}`" not in PAGE] == []


def test_the_schema_and_the_example_of_the_webhook_are_the_real_ones() -> None:
    schema, example = (json.loads(text) for language, text in BLOCKS if language == "json")
    assert schema == WebhookBody.model_json_schema()
    assert example == json.loads(render(plain_alert()).model_dump_json())


def test_the_snippet_verifies_our_signatures_and_refuses_others(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(text for language, text in BLOCKS if language == "python")
    names: dict[str, Any] = {}
    exec(compile(code, "docs/alerting.md", "exec"), names)
    monkeypatch.setattr("time.time", lambda: NOW_MS / 1000)
    body, seconds = b'{"type": "test"}', NOW_MS // 1000
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(seconds)}
    headers["webhook-signature"] = "v1,old " + sign(SIGNING_SECRET, "msg_1", seconds, body)
    assert names["is_genuine"](SIGNING_SECRET, headers, body)
    assert not names["is_genuine"](SIGNING_SECRET, headers, body + b" ")
    assert not names["is_genuine"](names["new_secret"](), headers, body)
    assert not names["is_genuine"](SIGNING_SECRET, headers | {"webhook-timestamp": str(seconds - 301)}, body)
