"""Assertions: what people expect of an answer, in one language for all check types. Pure.

Evaluating them is the prober's; this is how they are written, and what is wrong with one that makes no sense.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from farwatch_events.jsonpath import parse_path

Operator = Literal[
    "equals", "not_equals", "contains", "not_contains", "matches", "less_than", "greater_than", "exists", "one_of"
]
Severity = Literal["down", "degraded"]
Kind = Literal["status", "number", "text", "values", "any"]
"""What a subject holds: `values` are several texts, `any` is whatever a header or a JSON answer holds."""

Scalar = bool | int | float | str | None

ASSERTIONS_MAX = 32
PATTERN_MAX_CHARS = 500
VALUE_MAX_CHARS = 1000

LATENCY: dict[str, Kind] = {"latency": "number", "latency.dns": "number"}
CONNECTION: dict[str, Kind] = {**LATENCY, "latency.connect": "number", "ip": "text"}
TLS: dict[str, Kind] = {"latency.tls": "number", "certificate.days": "number"}
"""Groups of subjects that several check types have. Latencies are milliseconds."""

HEADER_PREFIX = "header."
JSON_SUBJECT = "body.json"

_FITTING: dict[Kind, tuple[Operator, ...]] = {
    "status": ("equals", "not_equals", "less_than", "greater_than", "one_of"),
    "number": ("equals", "not_equals", "less_than", "greater_than", "one_of", "exists"),
    "text": ("equals", "not_equals", "contains", "not_contains", "matches", "one_of", "exists"),
    "values": ("equals", "not_equals", "contains", "not_contains", "matches", "one_of", "exists"),
    "any": (
        "equals", "not_equals", "contains", "not_contains", "matches",
        "less_than", "greater_than", "one_of", "exists",
    ),
}  # fmt: skip
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")
_STATUS_RANGE = re.compile(r"^([1-5]\d\d)(?:-([1-5]\d\d))?$")
_NUMBER = re.compile(r"^-?\d{1,15}(\.\d{1,9})?$")


class Assertion(BaseModel):
    """One expectation: `{"subject": "header.x-cache", "operator": "equals", "value": "HIT"}`.

    `severity` is what the monitor is when it does not hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=600)
    operator: Operator
    value: Scalar | tuple[Scalar, ...] = None
    severity: Severity = "down"

    @field_validator("subject")
    @classmethod
    def _one_spelling(cls, subject: str) -> str:
        return normal_subject(subject)

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        """The operator takes this kind of value; which kind the subject holds is the check type's to say."""
        value = _fitting_value(self.operator, self.value)
        if value != self.value or type(value) is not type(self.value):
            object.__setattr__(self, "value", value)  # frozen for everybody else
        return self


def normal_subject(subject: str) -> str:
    """Header names in lower case, JSON paths without their `$`. Raises ValueError for a path or name that is none."""
    subject = subject.strip()
    if subject.lower().startswith(HEADER_PREFIX):
        name = subject[len(HEADER_PREFIX) :].lower()
        if not _HEADER_NAME.match(name):
            raise ValueError("needs a header's name after header., such as header.content-type")
        return HEADER_PREFIX + name
    if subject.startswith(JSON_SUBJECT):
        path = subject[len(JSON_SUBJECT) :].lstrip(": ")
        path = path[1:] if path.startswith((".$", ".[")) else path
        parse_path(path)
        path = path.removeprefix("$")
        return JSON_SUBJECT + (path if not path or path[0] in ".[" else f".{path}")
    return subject


def _fitting_value(operator: Operator, value: Any) -> Any:
    """The value in the form the operator takes. Raises a ValidationError that points at it."""
    if operator == "exists":
        return _truth(value)
    if operator == "one_of":
        return _several(value)
    if isinstance(value, tuple):
        _refuse((), "value", f"must be one value for {operator}; use one_of for several")
    if operator in ("less_than", "greater_than"):
        if (number := as_number(value)) is None:
            _refuse((), "value", f"must be a number for {operator}")
        return number
    if operator in ("contains", "not_contains", "matches"):
        return _some_text(operator, value)
    return _bounded(value)


def _truth(value: Any) -> bool:
    written = "true" if value in (None, "") else str(value).lower()
    if written not in ("true", "false"):
        _refuse((), "value", "must be true or false for exists")
    return written == "true"


def _several(value: Any) -> tuple[Any, ...]:
    several = value if isinstance(value, tuple) else (value,)
    if not several or several == (None,):
        _refuse((), "value", "must be a list of at least one value for one_of")
    if len(several) > 64:
        _refuse((), "value", "must have at most 64 values")
    return tuple(_bounded(each) for each in several)


def _some_text(operator: Operator, value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else f"{value}"
    if not text:
        _refuse((), "value", f"must be some text for {operator}")
    if operator == "matches" and len(text) > PATTERN_MAX_CHARS:
        _refuse((), "value", f"must have at most {PATTERN_MAX_CHARS} characters for matches")
    return str(_bounded(text))


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARS:
        _refuse((), "value", f"must have at most {VALUE_MAX_CHARS} characters")
    return value


def as_number(value: Any) -> int | float | None:
    """The number, also when it was written as text; None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        return float(value) if "." in value else int(value)
    return None


def status_range(value: Any) -> tuple[int, int] | None:
    """(200, 299) of "200-299", (404, 404) of 404; None for anything else."""
    found = _STATUS_RANGE.match(str(value).strip())
    if found is None:
        return None
    low = int(found[1])
    return low, int(found[2] or low)


def kind_of(subject: str, subjects: Mapping[str, Kind]) -> Kind | None:
    """What the subject holds among those a check type has; None when it has no such subject."""
    if subject in subjects:
        return subjects[subject]
    if subject.startswith(HEADER_PREFIX):
        return subjects.get("header.<name>")
    if subject.startswith(JSON_SUBJECT):
        return subjects.get("body.json.<path>")
    return None


def fitting_operators(kind: Kind) -> tuple[Operator, ...]:
    """The operators that a subject of this kind takes."""
    return _FITTING[kind]


def fit_assertions(assertions: Iterable[Assertion], subjects: Mapping[str, Kind]) -> list[Assertion]:
    """The assertions with their values in the form the subject takes. Raises a ValidationError that says what is
    wrong where: a subject the type does not have, an operator or a value that does not fit it."""
    return [_fitted(index, each, subjects) for index, each in enumerate(assertions)]


def _fitted(index: int, assertion: Assertion, subjects: Mapping[str, Kind]) -> Assertion:
    kind = kind_of(assertion.subject, subjects)
    if kind is None:
        known = f"one of {', '.join(subjects)}" if subjects else "left out: this type takes no assertions"
        _refuse((index,), "subject", f"must be {known}")
    if assertion.operator not in _FITTING[kind]:
        fitting = ", ".join(_FITTING[kind])
        _refuse((index,), "operator", f"{assertion.operator} does not fit {assertion.subject}; it takes {fitting}")
    if kind == "status":
        _require_status(index, assertion)
    if kind == "number" and assertion.operator in ("equals", "not_equals", "one_of"):
        return assertion.model_copy(update={"value": _numbers(index, assertion)})
    return assertion


def _numbers(index: int, assertion: Assertion) -> Any:
    given = assertion.value
    numbers = [as_number(each) for each in (given if isinstance(given, tuple) else (given,))]
    if None in numbers:
        _refuse((index,), "value", f"must be a number: {assertion.subject} is one")
    return tuple(numbers) if isinstance(given, tuple) else numbers[0]


def _require_status(index: int, assertion: Assertion) -> None:
    if assertion.operator in ("less_than", "greater_than"):
        return
    given = assertion.value
    for each in given if isinstance(given, tuple) else (given,):
        found = status_range(each)
        if found is None or found[1] < found[0]:
            _refuse((index,), "value", 'must be a code such as 200, or a range such as "200-299"')


def _refuse(where: tuple[int | str, ...], field: str, message: str) -> NoReturn:
    error = PydanticCustomError("value_error", "{words}", {"words": message})
    details = InitErrorDetails(type=error, loc=(*where, field), input=None)
    raise ValidationError.from_exception_data("Assertion", [details])
