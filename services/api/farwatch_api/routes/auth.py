"""Signing in and out, and the first administrator. Forms are answered with a redirect, JSON with the envelope."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from farwatch_api.auth import setup
from farwatch_api.auth.passwords import PASSWORD_MAX_CHARS
from farwatch_api.auth.sessions import COOKIE, NewSession, end_session
from farwatch_api.auth.signin import Throttled, Visitor, WrongCredentials, begin_session, count_attempt, sign_in
from farwatch_api.auth.throttle import FREE_BY_ADDRESS, address_key
from farwatch_api.bodies import json_object
from farwatch_api.deps import Dependencies, Deps, Requester, base_url, optional_identity
from farwatch_api.envelope import success
from farwatch_api.errors import ApiError
from farwatch_api.problems import Invalid, unfit_value

router = APIRouter(tags=["sign-in"])

FORM_TYPE = "application/x-www-form-urlencoded"


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(FORM_TYPE)


async def read_fields(request: Request, *names: str) -> dict[str, str]:
    """These fields of a form or a JSON object; absent ones are empty. Raises Invalid."""
    given: dict[str, Any]
    if is_form(request):
        try:
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=50)
        except ValueError:
            raise ApiError(400, "The form has too many fields.") from None
        given = {name: values[0] for name, values in form.items()}
    else:
        given = await json_object(request)
    fields = {name: given.get(name) or "" for name in names}
    for name, value in fields.items():
        if not isinstance(value, str) or len(value) > PASSWORD_MAX_CHARS:
            raise Invalid.at(name, f"must be text of at most {PASSWORD_MAX_CHARS} characters")
    if found := unfit_value(fields):
        raise Invalid([found])
    return fields


def visitor_of(request: Request) -> Visitor:
    return Visitor(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def local_target(target: str) -> str:
    """Where to go after signing in: a path of ours, never another site ("//evil", "/\\evil", "https:")."""
    parts = urlsplit(target)
    if not target.startswith("/") or target.startswith(("//", "/\\")) or parts.netloc or parts.scheme:
        return "/"
    return "/" if any(ord(c) < 32 for c in target) or "\\" in target else target


def is_secure(request: Request, deps: Deps) -> bool:
    return base_url(request, deps).startswith("https://") or request.url.scheme == "https"


def set_cookie(response: Response, session: NewSession, *, secure: bool) -> None:
    response.set_cookie(
        COOKIE, session.id, max_age=session.days * 86400, path="/", secure=secure, httponly=True, samesite="lax"
    )


def signed_in(request: Request, deps: Deps, session: NewSession, target: str) -> Response:
    response: Response
    if is_form(request):
        response = RedirectResponse(local_target(target), 303)
    else:
        response = success({"csrf_token": session.csrf_token}, "Signed in.")
    set_cookie(response, session, secure=is_secure(request, deps))
    return response


def back_to_form(path: str, **query: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode({name: value for name, value in query.items() if value})}", 303)


@router.post("/sign-in", summary="Sign in with e-mail address and password; sets the session cookie")
async def post_sign_in(request: Request, deps: Dependencies) -> Response:
    fields = await read_fields(request, "email", "password", "next")
    email, before = setup.clean_email(fields["email"]), optional_identity(request)
    old = before.session_hash if before else None
    try:
        session = await sign_in(deps, email, fields["password"], visitor_of(request), old)
    except (WrongCredentials, Throttled) as error:
        if not is_form(request):
            raise
        code = "throttled" if isinstance(error, Throttled) else "credentials"
        return back_to_form("/sign-in", error=code, next=fields["next"])
    return signed_in(request, deps, session, fields["next"] or "/")


@router.post("/sign-out", summary="End the session")
async def post_sign_out(request: Request, deps: Dependencies, identity: Requester) -> Response:
    if identity.session_hash is not None:
        async with deps.write() as connection:
            await end_session(connection, identity.session_hash)
    response: Response = RedirectResponse("/sign-in", 303) if is_form(request) else success(None, "Signed out.")
    response.delete_cookie(COOKIE, path="/")
    return response


@router.post("/setup", summary="Create the first administrator with the one-time link's token")
async def post_setup(request: Request, deps: Dependencies) -> Response:
    fields = await read_fields(request, "token", "email", "password", "name")
    email = setup.clean_email(fields["email"])
    try:
        await count_attempt(deps, {f"setup:{address_key(visitor_of(request).address)}": FREE_BY_ADDRESS})
        setup.require_account(email, fields["password"])
        session = await _first_admin(request, deps, fields, email)
    except (Invalid, ApiError) as error:
        if not is_form(request):
            raise
        reason = error.problems[0] if isinstance(error, Invalid) else {"field": "", "message": str(error.detail)}
        text = f"{reason['field']} {reason['message']}".strip()
        return back_to_form("/setup", token=fields["token"], error=text, email=email, name=fields["name"])
    return signed_in(request, deps, session, "/")


async def _first_admin(request: Request, deps: Deps, fields: dict[str, str], email: str) -> NewSession:
    async with deps.read() as connection:
        if not await setup.link_is_good(connection, fields["token"]):
            raise ApiError(403, "This set-up link was used or has run out. Restart Farwatch for a new one.")
    hashed = await deps.passwords.hash(fields["password"])
    user_id = await setup.complete(deps.db, fields["token"], email, fields["name"][:200], hashed, deps.now_ms())
    if user_id is None:
        raise ApiError(403, "This set-up link was used or has run out. Restart Farwatch for a new one.")
    async with deps.write() as connection:
        return await begin_session(deps, connection, user_id, visitor_of(request), None)


@router.get("/api/session", summary="Who is signed in, and the token that writes with a cookie need")
async def get_session(identity: Requester) -> Response:
    return success(
        {
            "kind": identity.kind,
            "user_id": identity.user_id,
            "email": identity.email,
            "name": identity.name,
            "role": identity.role,
            "scope": identity.scope,
            "csrf_token": identity.csrf_token,
        }
    )


async def open_session_for(request: Request, deps: Deps, user_id: int, data: dict[str, Any]) -> Response:
    """A fresh session for whoever changed their own password, which ended all the others."""
    async with deps.write() as connection:
        session = await begin_session(deps, connection, user_id, visitor_of(request), None)
    response = success({**data, "csrf_token": session.csrf_token}, "Password changed. Other sessions have ended.")
    set_cookie(response, session, secure=is_secure(request, deps))
    return response
