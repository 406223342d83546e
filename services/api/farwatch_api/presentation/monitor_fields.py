"""What the monitor form offers, from the models of the check types: nothing here repeats a list of theirs. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from pydantic_core import PydanticUndefined

from farwatch_api.presentation.expectations import OPERATOR_WORDS, SUBJECT_WORDS, split_subject, unit_of
from farwatch_events.assertions import Assertion, Kind, Operator, fitting_operators
from farwatch_events.masking import MASK, map_secrets
from farwatch_events.monitor import DEFAULT_TIMEOUT_SECONDS, MONITOR_TYPES, Auth, fields_of

Choices = list[tuple[str, str]]

_CHOICE_WORDS: Final[dict[str, dict[str, str]]] = {
    "ip_family": {"any": "Any", "ipv4": "IPv4 only", "ipv6": "IPv6 only"},
    "http_version": {"auto": "The best both speak", "1.1": "HTTP/1.1", "2": "HTTP/2, and nothing else"},
    "starttls": {"smtp": "SMTP", "imap": "IMAP", "pop3": "POP3", "ftp": "FTP", "postgres": "PostgreSQL"},
    "transport": {"udp": "UDP", "tcp": "TCP"},
    "min_version": {"1.2": "TLS 1.2 or newer", "1.3": "TLS 1.3"},
    "auth.type": {"basic": "User name and password", "digest": "User name and password (digest)", "bearer": "Token"},
}
SEVERITY_WORDS: Final[dict[str, str]] = {"down": "else down", "degraded": "else degraded"}


def literals(annotation: Any) -> list[str]:
    """The texts of a Literal, also of an optional one."""
    found: list[str] = []
    for each in get_args(annotation):
        found += [each] if isinstance(each, str) else literals(each)
    return found


def choices(name: str, nothing: str | None = None) -> Choices:
    """What a field can be, in words; `nothing` is the word for leaving it out."""
    if name == "auth.type":
        values = literals(Auth.model_fields["type"].annotation)
    else:
        values = next(literals(fields_of(kind)[name].annotation) for kind in MONITOR_TYPES if name in fields_of(kind))
    words = _CHOICE_WORDS.get(name, {})
    offered = [(value, words.get(value, value)) for value in values]
    return offered if nothing is None else [("", nothing), *offered]


def subject_choices(kind: str) -> list[dict[str, Any]]:
    """Subjects of a check type: `value` as written up to a name or path, `key` asking for that."""
    return [
        {
            "value": subject.partition("<")[0].rstrip("."),
            "word": SUBJECT_WORDS.get(subject, subject),
            "kind": holds,
            "key": subject.partition("<")[2].rstrip(">"),
            "unit": unit_of(subject),
        }
        for subject, holds in MONITOR_TYPES[kind].subjects.items()
    ]


def assertion_choices() -> dict[str, Any]:
    """What the script of the assertion editor needs: subjects by check type, operators by what a subject holds."""
    return {
        "subjects": {kind: subject_choices(kind) for kind in MONITOR_TYPES if MONITOR_TYPES[kind].subjects},
        "operators": {kind: list(fitting_operators(kind)) for kind in get_args(Kind)},
        "operator_words": {operator: OPERATOR_WORDS.get(operator, operator) for operator in get_args(Operator)},
    }


def severities() -> Choices:
    values = literals(Assertion.model_fields["severity"].annotation)
    return [(value, SEVERITY_WORDS.get(value, value)) for value in values]


def assertion_row(assertion: Mapping[str, Any]) -> dict[str, Any]:
    """An assertion as a row of the form shows it; `given` is its value as stored, which an untouched row keeps."""
    subject, key = split_subject(assertion["subject"])
    value = assertion["value"]
    written = ", ".join(map(_written, value)) if isinstance(value, list) else _written(value)
    return {**assertion, "subject": subject, "key": key, "given": value, "value": written}


def _written(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def defaults() -> dict[str, Any]:
    """Every field of every type as an untouched form shows it; a required one is empty."""
    values: dict[str, Any] = {}
    for kind in MONITOR_TYPES:
        for name, field in fields_of(kind).items():
            default = field.get_default(call_default_factory=True)
            values.setdefault(name, "" if default is PydanticUndefined or default is None else default)
    return {**values, "timeout_seconds": ""}


def touched(spec: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether one of the fields is not as an untouched form of the type has it: then its section stands open."""
    fields = fields_of(spec["type"])
    return any(spec.get(name) not in _untouched(spec, name, fields[name]) for name in names if name in fields)


def _untouched(spec: Mapping[str, Any], name: str, field: Any) -> list[Any]:
    fitted = [DEFAULT_TIMEOUT_SECONDS, round(0.8 * float(spec["interval_seconds"] or 60), 1)]
    default = field.get_default(call_default_factory=True)
    return ["", None, default, *(fitted if name == "timeout_seconds" else ())]


def secret_names(spec: Mapping[str, Any]) -> list[str]:
    """Where the specification holds a secret, as the form names it: "auth.password", "client_key"."""
    found = [name for name, value in spec.items() if value == MASK]
    auth = spec.get("auth") or {}
    return found + [f"auth.{name}" for name, value in auth.items() if value == MASK]


def without_secrets(spec: Mapping[str, Any]) -> dict[str, Any]:
    """For the form: a stored secret leaves nothing behind, but for headers, whose masks stand in a text."""
    return {**map_secrets(spec, lambda _: ""), "headers": spec.get("headers") or {}}


def form_values(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the partials of the form need, beside channels, regions and other monitors. Secrets stay behind: `secrets`
    names those that are stored."""
    held = secret_names(spec)
    given = {name: value for name, value in without_secrets(spec).items() if value is not None}
    shown = defaults() | given
    return {
        "spec": shown,
        "types": list(MONITOR_TYPES),
        "secrets": held,
        "touched": lambda *names: touched(shown, names) or any(name in held for name in names),
        "choices": choices,
        "pairs": pairs,
        "assertions": assertion_choices(),
        "assertion_row": assertion_row,
        "severities": severities(),
    }


def pairs(fields: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields.items())
