"""The frame that all pages share: who looks, in which theme, under which policy; and errors as pages."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from farwatch_api import web
from farwatch_api.deps import Deps
from farwatch_api.errors import PLAIN_MESSAGES, ApiError, on_anything, on_http
from farwatch_api.problems import Invalid
from farwatch_api.queries.overview import standing
from farwatch_api.queries.system import read_system
from farwatch_store import StoreUnavailable

THEME_COOKIE = "farwatch_theme"
THEMES = ("light", "dark")
PROGRAMS = ("/api", "/sites", "/webhook", "/push/")

# Pages hold no inline style, unlike the documentation of the API.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def render(request: Request, name: str, status_code: int = 200, /, **values: Any) -> Response:
    """A template alone: fragments, and pages for strangers."""
    app: FastAPI = request.app
    theme = request.cookies.get(THEME_COOKIE)
    identity = request.scope.get("farwatch.identity")
    frame = {"theme": theme if theme in THEMES else None, "identity": identity, "path": request.url.path}
    response = web.render(app, name, status_code, **(frame | values))
    response.headers["content-security-policy"] = CONTENT_SECURITY_POLICY
    return response


async def render_page(request: Request, deps: Deps, name: str, status_code: int = 200, /, **values: Any) -> Response:
    """A template inside the frame of somebody signed in.

    `live_since` is where its live updates begin: a page that read something before it came here gives its own.
    """
    async with deps.read() as connection:
        frame = {
            "standing": await deps.recent.get("standing", standing, connection),
            "system": await read_system(deps, connection),
            "live_since": deps.hub.position(),
        }
    return render(request, name, status_code, **(frame | values))


def render_error(request: Request, status_code: int, message: str) -> Response:
    title = {404: "Not found", 503: "One moment", 403: "Not allowed"}.get(status_code, "That did not work")
    return render(request, "error.html", status_code, title=title, message=message, status=status_code)


async def not_found(request: Request, error: Exception) -> Response:
    """An address that no route takes."""
    if is_page(request):
        return render_error(request, 404, PLAIN_MESSAGES[404])
    return await on_http(request, error)


async def broken(request: Request, error: Exception) -> Response:
    """A fault of ours: logged in either case."""
    answer = await on_anything(request, error)
    if is_page(request):
        return render_error(request, 500, "Something went wrong on our side. It was logged.")
    return answer


def is_page(request: Request) -> bool:
    """Asked for by a browser's address bar, not by a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PROGRAMS)


class PageRoute(APIRoute):
    """People get their errors as a page, not as JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as error:
                return render_error(request, error.status_code, str(error.detail))
            except HTTPException as error:
                return render_error(request, error.status_code, PLAIN_MESSAGES.get(error.status_code, "Not possible."))
            except (Invalid, RequestValidationError):
                return render_error(request, 404, "This address does not lead to a page.")
            except StoreUnavailable:
                return render_error(request, 503, "The database is away. Try again in a moment.")

        return handle
