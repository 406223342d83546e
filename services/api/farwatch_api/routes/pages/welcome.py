"""What strangers see: signing in, the first administrator."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from farwatch_api import web
from farwatch_api.auth import setup
from farwatch_api.deps import Dependencies, Visitor
from farwatch_api.routes.auth import local_target
from farwatch_api.routes.pages.rendering import PageRoute, render
from farwatch_api.settings import PASSWORD_MIN_CHARS

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SIGN_IN_ERRORS = {
    "credentials": "The e-mail address or the password is wrong.",
    "throttled": "Too many attempts. Try again in a few minutes.",
}


@router.get("/sign-in")
async def sign_in_page(
    request: Request,
    visitor: Visitor,
    error: str = "",
    next: str = "/",  # noqa: A002
) -> Response:
    if visitor is not None and visitor.kind == "session":
        return RedirectResponse(local_target(next), 303)
    return render(request, "auth/sign_in.html", next=local_target(next), error=SIGN_IN_ERRORS.get(error, ""))


@router.get("/setup")
async def setup_page(
    request: Request, deps: Dependencies, token: str = "", error: str = "", email: str = "", name: str = ""
) -> Response:
    async with deps.read() as connection:
        good = not await setup.has_users(connection) and await setup.link_is_good(connection, token)
    if not good:
        return render(request, "auth/setup_over.html", 403)
    values = {"token": token, "error": error[:300], "email": email[:320], "name": name[:200]}
    return render(request, "auth/setup.html", password_min=PASSWORD_MIN_CHARS, **values)


@router.get("/favicon.ico")
async def favicon() -> Response:
    return RedirectResponse(web.static_url("img/logo.svg"), 308)
