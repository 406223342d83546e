"""The gate: nothing is served to strangers but what PUBLIC lists.

It stands before the router, so that a new route is closed unless somebody opens it here.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from farwatch_api import envelope
from farwatch_api.auth.identity import SAFE_METHODS, Identity
from farwatch_api.auth.sessions import COOKIE, find_session
from farwatch_api.auth.tokens import bearer_of, digest, same
from farwatch_api.deps import Deps
from farwatch_api.errors import on_store_away
from farwatch_store import StoreUnavailable

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
SIGN_IN = "/sign-in"
SECRET_PATHS = ("/push/", "/alert/")
"""Whoever knows such an address may use it: a session beside it proves nothing more."""
FORM_PAGES = (SIGN_IN, "/setup")
"""Open to strangers, who have no session whose token they could know: the origin alone is checked."""

PUBLIC: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern)
    for pattern in (
        r"/healthz",
        r"/readyz",
        r"/metrics",  # asks for its own token, or loopback
        r"/push/[^/]+(/(start|success|fail|[0-9]{1,3}))?",
        r"/alert/[^/]+",  # signed, and good for one thing
        r"/sign-in",
        r"/setup",
        r"/static/.*",
        r"/favicon\.ico",
    )
)

_FIND_BEARER = """
    select t.id, t.name as token_name, t.scope, t.last_used_at, u.id as user_id, u.email, u.name, u.role
    from auth.tokens t join auth.users u on u.id = t.user_id
    where t.token_hash = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
        and u.disabled_at is null
"""

# Once a minute, so that a busy token does not write a row a request.
_MARK_USED = """
    update auth.tokens set last_used_at = now()
    where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')
"""


def is_public(path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in PUBLIC)


def concerns_people(path: str) -> bool:
    """Files, pushes and health checks are the same for everybody: the database need not be asked who wants them."""
    return path in FORM_PAGES or not is_public(path)


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    message: str


class Gate:
    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self.app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            identity = await self._identify(headers) if concerns_people(scope["path"]) else None
        except StoreUnavailable as error:
            if not is_public(scope["path"]):
                await (await on_store_away(Request(scope), error))(scope, receive, send)
                return
            identity = None
        scope["farwatch.identity"] = identity
        refusal = self._refuse(scope, headers, identity)
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await answer_refusal(scope, headers, refusal)(scope, receive, send)

    async def _identify(self, headers: Headers) -> Identity | None:
        """A bearer token wins over a cookie: whoever sends one means it."""
        authorization = headers.get("authorization")
        if authorization is not None:
            token = bearer_of(authorization)
            return None if token is None else await self._identify_token(token)
        session_id = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if not session_id or len(session_id) > 128:
            return None
        async with self._deps.read() as connection:
            return await find_session(connection, session_id, self._deps.now())

    async def _identify_token(self, token: str) -> Identity | None:
        configured = self._deps.settings.api_token
        if configured is not None and same(token, configured.get_secret_value()):
            return Identity("environment", name="FARWATCH_API_TOKEN")
        async with self._deps.read() as connection:
            row = await connection.fetchrow(_FIND_BEARER, digest(token))
            if row is None:
                return None
            if stale(row["last_used_at"], self._deps.now()):
                await connection.execute(_MARK_USED, row["id"])
        return Identity(
            "token",
            user_id=row["user_id"],
            token_id=row["id"],
            token_name=row["token_name"],
            email=row["email"],
            name=row["name"],
            role=row["role"],
            scope=row["scope"],
        )

    def _refuse(self, scope: Scope, headers: Headers, identity: Identity | None) -> Refusal | None:
        method, public = scope["method"], is_public(scope["path"])
        if identity is None and not public:
            return Refusal(401, "Sign in, or send a bearer token.")
        if scope["path"] in FORM_PAGES:
            return self._refuse_foreign(scope, headers)
        if identity is None:
            return None
        if not public and not identity.may(method):
            return Refusal(403, "This token may only read.")
        if identity.kind == "session" and method not in SAFE_METHODS and not scope["path"].startswith(SECRET_PATHS):
            return self._refuse_foreign(scope, headers) or refuse_forged(scope, headers, identity)
        return None

    def _refuse_foreign(self, scope: Scope, headers: Headers) -> Refusal | None:
        """A browser says where a write comes from; another site's is refused before the token is looked at."""
        if scope["method"] in SAFE_METHODS:
            return None
        own = {headers.get("host", ""), urlsplit(self._deps.settings.public_url or "").netloc}
        if is_foreign(headers.get("origin"), headers.get("sec-fetch-site"), own):
            return Refusal(403, "The request came from another site.")
        return None


def stale(moment: datetime | None, now: datetime) -> bool:
    return moment is None or (now - moment).total_seconds() > 60


def is_foreign(origin: str | None, fetch_site: str | None, own_hosts: set[str]) -> bool:
    """`own_hosts` are host[:port] values. Programs send neither header and are no browser's victim."""
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return True
    if origin is None:
        return False
    return urlsplit(origin).netloc not in own_hosts - {""}


def refuse_forged(scope: Scope, headers: Headers, identity: Identity) -> Refusal | None:
    """Whoever rides on a cookie must know the session's token as well: in a header, or in a form's field."""
    given = headers.get(CSRF_HEADER)
    if given is None and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        given = form_field(scope.get("farwatch.body", b""), CSRF_FIELD)
    if given is not None and same(given, identity.csrf_token or "-"):
        return None
    return Refusal(403, "The form is too old or was not ours. Load the page again and repeat.")


def form_field(body: bytes, name: str) -> str | None:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=1000).get(name, [None])[0]
    except ValueError:
        return None


def answer_refusal(scope: Scope, headers: Headers, refusal: Refusal) -> Response:
    """People in a browser are taken to the sign-in page, programs get the envelope."""
    path = scope["path"]
    is_page = not path.startswith(("/api", "/sites", "/webhook")) and "text/html" in headers.get("accept", "")
    if refusal.status == 401 and is_page and scope["method"] in SAFE_METHODS:
        query = scope.get("query_string", b"").decode("latin-1")
        target = quote(path + (f"?{query}" if query else ""), safe="")
        return RedirectResponse(f"{SIGN_IN}?next={target}" if path != "/" else SIGN_IN, 303)
    wanted = {"WWW-Authenticate": 'Bearer realm="farwatch"'} if refusal.status == 401 else None
    return envelope.failure(refusal.status, refusal.message, headers=wanted)
