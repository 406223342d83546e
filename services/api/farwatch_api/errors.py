"""Every error becomes the envelope with a fitting status; none of them shows anything of our inside."""

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from farwatch_api import envelope
from farwatch_api.problems import Invalid, explain
from farwatch_bus.errors import BusError
from farwatch_store import StoreUnavailable, VersionConflict

log = structlog.get_logger("farwatch_api")

PLAIN_MESSAGES = {
    400: "The request cannot be read.",
    401: "Sign in, or send a bearer token.",
    403: "This is not allowed.",
    404: "There is nothing here.",
    405: "This address does not take that method.",
    409: "The request does not fit the present state.",
    413: "The request is larger than 1 MiB.",
    429: "Too many attempts.",
    503: "A part that this needs is away. Try again soon.",
}


class ApiError(HTTPException):
    """An expected refusal, raised anywhere below a route."""

    def __init__(self, status_code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status_code, message, headers)


class NotFound(ApiError):
    def __init__(self, what: str) -> None:
        super().__init__(404, f"There is no such {what}.")


class Conflict(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(409, message)


class Unavailable(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(503, message, {"Retry-After": "2"})


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(Invalid, on_invalid)
    app.add_exception_handler(StoreUnavailable, on_store_away)
    app.add_exception_handler(VersionConflict, on_version_conflict)
    app.add_exception_handler(BusError, on_bus)
    app.add_exception_handler(asyncpg.DataError, on_data)
    app.add_exception_handler(Exception, on_anything)


async def on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    own = isinstance(error, ApiError)
    message = error.detail if own else PLAIN_MESSAGES.get(error.status_code, error.detail)
    return envelope.failure(error.status_code, message, headers=error.headers)


async def on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(Invalid(explain(error.errors())))


async def on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)
    return invalid(error)


def invalid(error: Invalid) -> Response:
    first = error.problems[0]
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    message = f"{first['field']} {first['message']}".strip() + more
    return envelope.failure(422, message, {"errors": error.problems})


async def on_store_away(_request: Request, error: Exception) -> Response:
    log.warning("database_away", error=str(error))
    return envelope.failure(503, "The database is away. Try again soon.", headers={"Retry-After": "2"})


async def on_version_conflict(_request: Request, _error: Exception) -> Response:
    return envelope.failure(409, "Somebody else changed this at the same moment. Read it again and repeat.")


async def on_bus(_request: Request, error: Exception) -> Response:
    log.warning("bus_away", error=type(error).__name__)
    return envelope.failure(503, "The message bus is away. Try again soon.", headers={"Retry-After": "2"})


async def on_data(_request: Request, error: Exception) -> Response:
    """A value that no column can hold, such as a number beyond 64 bits: the client's, not ours."""
    log.info("value_out_of_range", error=type(error).__name__)
    return envelope.failure(400, "A value in the request is out of range.")


async def on_anything(request: Request, error: Exception) -> Response:
    log.error("request_failed", method=request.method, route=route_of(request), exc_info=error)
    return envelope.failure(500, "Something went wrong on our side. It was logged.")


def route_of(request: Request) -> str:
    """The pattern of the route, never the path: paths of push URLs are secrets."""
    return str(getattr(request.scope.get("route"), "path", "(none)"))
