"""The one shape of every answer under /api, and how times are written in it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

JSON_TYPE = "application/json"


class FieldProblem(BaseModel):
    field: str
    message: str


class Problems(BaseModel):
    errors: list[FieldProblem]


class ErrorEnvelope(BaseModel):
    """What every refusal looks like; `data` is set for a 422 only."""

    status: Literal["error"]
    data: Problems | None
    message: str
    timestamp: datetime


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": description}
    for status, description in {
        400: "Not a JSON object, or a value out of range",
        401: "No valid session or token",
        403: "A token that may only read, or a missing CSRF token",
        404: "No such thing",
        409: "Does not fit the present state",
        413: "Larger than 1 MiB",
        422: "A field is wrong; `data.errors` names it",
        503: "The database, the bus or a service is away",
    }.items()
}


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds only where there are any: "2026-01-01T12:00:00Z"."""
    if moment.tzinfo is not UTC:  # the driver's are: thousands of times an answer
        moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.isoformat(timespec=precision)[:-6] + "Z"


def timestamp_ms(milliseconds: float) -> str:
    return timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))


def plain(value: Any) -> Any:
    """What json.dumps asks for values it does not know."""
    if isinstance(value, datetime):
        return timestamp(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def dump(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain)
    return text.encode("utf-8", "replace")


def envelope(status: str, data: Any, message: str | None, now: datetime) -> dict[str, Any]:
    return {"status": status, "data": data, "message": message, "timestamp": timestamp(now)}


def bare(value: Any, status_code: int = 200) -> Response:
    """JSON without the envelope: the second seed's answers."""
    return Response(dump(value), status_code, media_type=JSON_TYPE)


def success(data: Any = None, message: str | None = None, status_code: int = 200) -> Response:
    body = envelope("success", data, message, datetime.now(UTC))
    return Response(dump(body), status_code, media_type=JSON_TYPE)


def failure(status_code: int, message: str, data: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    body = envelope("error", data, message, datetime.now(UTC))
    return Response(dump(body), status_code, dict(headers) if headers else None, JSON_TYPE)


def page(items: list[Any], next_cursor: str | None) -> dict[str, Any]:
    return {"items": items, "next_cursor": next_cursor}
