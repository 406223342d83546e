"""Pages for people. Sign-in and set-up need nothing but a form; the rest comes from templates."""

from fastapi import APIRouter
from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from farwatch_api.auth import setup
from farwatch_api.deps import Dependencies, Visitor
from farwatch_api.routes.auth import local_target

router = APIRouter(include_in_schema=False)

_FORM = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }} · Farwatch</title>
<h1>{{ title }}</h1>
{% if error %}<p role="alert">{{ error }}</p>{% endif %}
<form method="post" action="{{ action }}">
{% for name, value in hidden.items() %}<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}
<p><label>E-mail <input type="email" name="email" required autocomplete="username" value="{{ email }}"></label></p>
<p><label>Password <input type="password" name="password" required autocomplete="{{ password_hint }}"></label></p>
<button>{{ title }}</button>
</form></html>"""
)
SIGN_IN_ERRORS = {
    "credentials": "The e-mail address or the password is wrong.",
    "throttled": "Too many attempts. Try again in a few minutes.",
}


@router.get("/sign-in")
async def sign_in_page(visitor: Visitor, error: str = "", next: str = "/") -> Response:  # noqa: A002
    if visitor is not None and visitor.kind == "session":
        return RedirectResponse(local_target(next), 303)
    return HTMLResponse(
        _FORM.render(
            title="Sign in",
            action="/sign-in",
            hidden={"next": next},
            email="",
            error=SIGN_IN_ERRORS.get(error, ""),
            password_hint="current-password",  # noqa: S106
        )
    )


@router.get("/setup")
async def setup_page(deps: Dependencies, token: str = "", error: str = "", email: str = "", name: str = "") -> Response:
    async with deps.read() as connection:
        good = not await setup.has_users(connection) and await setup.link_is_good(connection, token)
    if not good:
        return HTMLResponse("<!doctype html><title>Farwatch</title><p>This set-up link is not good any more.</p>", 403)
    return HTMLResponse(
        _FORM.render(
            title="Create the administrator",
            action="/setup",
            hidden={"token": token, "name": name},
            email=email,
            error=error,
            password_hint="new-password",  # noqa: S106
        )
    )
