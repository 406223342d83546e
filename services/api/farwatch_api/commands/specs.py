"""From what somebody wrote to what is stored: aliases, masks, validation, encryption. Pure but for the key."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from farwatch_api.commands.certificates import unusable_certificates
from farwatch_api.problems import Invalid, Problem, explain, problem
from farwatch_events.checks import SPEC_MAX_BYTES
from farwatch_events.masking import MASK, SECRET_FIELDS, keep_masked, map_secrets, mask_secrets
from farwatch_events.monitor import MONITOR_TYPES, MonitorSpec, dump_monitor, fields_of, parse_monitor
from farwatch_events.requests import ENCRYPTED_PREFIX, is_secret_header
from farwatch_runtime.patterns import PatternError, compile_pattern
from farwatch_runtime.secrets import SecretBox, SecretError

READ_ONLY = frozenset(
    {
        "id",
        "state",
        "state_since",
        "reason",
        "verdict",
        "votes",
        "flapping",
        "incident_id",
        "uptime",
        "last_check",
        "push_url",
        "config_version",
        "created_at",
        "updated_at",
    }
)
"""What answers add to a monitor: an answer can be sent back as it is."""


def writable(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in READ_ONLY}


def parse_spec(data: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> MonitorSpec:
    """The monitor in `data`, masks replaced by what is stored. Raises Invalid."""
    refuse_encrypted(data, stored or {})
    merged = keep_masked(data, stored or {})
    if problems := masks_left(merged):
        raise Invalid(problems)
    try:
        spec = parse_monitor(merged)
    except ValidationError as error:
        kind = data.get("type")
        known = fields_of(kind) if isinstance(kind, str) and kind in MONITOR_TYPES else ()
        raise Invalid(explain(error.errors(), known)) from None
    if problems := unusable_patterns(spec) + unusable_certificates(spec):
        raise Invalid(problems)
    return spec


def unusable_patterns(spec: MonitorSpec) -> list[Problem]:
    """Assertions whose pattern no prober could run."""
    problems = []
    for index, assertion in enumerate(spec.assertions):
        if assertion.operator == "matches":
            try:
                compile_pattern(str(assertion.value))
            except PatternError as error:
                problems.append(problem(f"assertions.{index}.value", str(error)))
    return problems


def encrypted_dump(spec: MonitorSpec, box: SecretBox) -> dict[str, Any]:
    """What is stored. Raises Invalid when it is larger than a prober is sent."""
    dumped = map_secrets(dump_monitor(spec), lambda value: value if box.is_encrypted(value) else box.encrypt(value))
    if len(json.dumps(dumped, ensure_ascii=False).encode()) > SPEC_MAX_BYTES:
        raise Invalid.at("body", "and headers together are too large: a monitor is limited to 96 KiB")
    return dumped


def masks_left(data: Mapping[str, Any]) -> list[Problem]:
    """Masks with nothing stored behind them."""
    message = "is the mask of a secret that was never stored: write the secret itself"
    found = [problem(name, message) for name in SECRET_FIELDS if data.get(name) == MASK]
    auth, headers = data.get("auth"), data.get("headers")
    if isinstance(auth, Mapping):
        found += [problem(f"auth.{name}", message) for name in ("password", "token") if auth.get(name) == MASK]
    if isinstance(headers, Mapping):
        found += [
            problem(f"headers.{name}", message)
            for name, value in headers.items()
            if value == MASK and is_secret_header(str(name))
        ]
    return found


def refuse_encrypted(data: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Nobody but us writes the encrypted form: it would escape the limits, and no key might open it."""
    problems = [
        problem(name, f"must not start with {ENCRYPTED_PREFIX}")
        for name in SECRET_FIELDS
        if str(data.get(name) or "").startswith(ENCRYPTED_PREFIX) and data[name] != stored.get(name)
    ]
    for group in ("auth", "headers"):
        given, before = data.get(group), stored.get(group)
        if not isinstance(given, Mapping):
            continue
        known = before.values() if isinstance(before, Mapping) else ()
        problems += [
            problem(f"{group}.{name}", f"must not start with {ENCRYPTED_PREFIX}")
            for name, value in given.items()
            if isinstance(value, str) and value.startswith(ENCRYPTED_PREFIX) and value not in known
        ]
    if problems:
        raise Invalid(problems)


def patched(stored: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """`stored` with the fields of `data` put in; null takes a field back to its default.

    A timeout that was fitted to the old interval is fitted again when only the interval changes.
    """
    merged = {**stored, **data}
    if "interval_seconds" in data and "timeout_seconds" not in data:
        interval = data["interval_seconds"]
        timeout = stored.get("timeout_seconds")
        if isinstance(interval, int | float) and isinstance(timeout, int | float) and timeout > 0.8 * interval:
            merged.pop("timeout_seconds", None)
    return {name: value for name, value in merged.items() if value is not None or name not in data}


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any], box: SecretBox) -> list[str]:
    """Names of the fields that differ, secrets compared by what they say and not by how they are encrypted."""
    old, new = _opened(before, box), _opened(after, box)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _opened(spec: Mapping[str, Any], box: SecretBox) -> dict[str, Any]:
    return map_secrets(spec, lambda value: _open(value, box))


def _open(value: str, box: SecretBox) -> str:
    """As it is when the key that closed it is gone: then it counts as another value, and the monitor stays editable."""
    try:
        return box.decrypt(value) if box.is_encrypted(value) else value
    except SecretError:
        return value


def shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    return mask_secrets(spec)
