"""Who may do what: the gate, sign-in, CSRF, tokens, users, set-up."""

import asyncio
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.routing import Mount

from farwatch_api.auth import setup
from farwatch_api.routes import ROUTERS, every_route
from farwatch_api.settings import ApiSettings
from tests.integration.api.conftest import API_TOKEN, BASE, EMAIL, PASSWORD, Browser, TestDeps

OPEN_TO_ALL = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/push/{token}"),
    ("POST", "/push/{token}"),
    ("GET", "/push/{token}/{signal}"),
    ("POST", "/push/{token}/{signal}"),
    ("GET", "/alert/{token}"),
    ("POST", "/alert/{token}"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/setup"),
    ("POST", "/setup"),
}
MONITOR = {"type": "http", "name": "Shop", "url": "https://shop.example/"}


def fill(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "1", path)


async def test_strangers_get_nowhere_but_where_it_is_public(app: FastAPI, stranger: httpx.AsyncClient) -> None:
    public, routes = set(), every_route()
    assert len(routes) > 50
    included = [type(route).__name__ for route in app.routes if not isinstance(route, Mount)]
    assert included == ["_IncludedRouter"] * len(ROUTERS), "a route outside ROUTERS would escape this test"
    for method, path in routes:
        answer = await stranger.request(method, fill(path))
        if answer.status_code != 401 or "sign-in" in path:
            public.add((method, path))
        else:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["status"] == "error"
    assert public <= OPEN_TO_ALL
    assert (await stranger.get("/api/does-not-exist")).status_code == 401


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer ", "Basic YTpi", f"Bearer {API_TOKEN}x", f"bearer{API_TOKEN}", "Bearer fw_" + "a" * 5000],
)
async def test_wrong_tokens_are_401(stranger: httpx.AsyncClient, authorization: str) -> None:
    answer = await stranger.get("/api/status", headers={"Authorization": authorization})
    assert answer.status_code == 401


async def test_a_browser_is_taken_to_the_sign_in_page(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/monitors/7?x=1", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fmonitors%2F7%3Fx%3D1"


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/api/status", "/sign-in", "/api/nothing", "/api/docs", "/push/x"):
        headers = (await client.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"]


async def test_sign_in_sets_a_cookie_that_scripts_cannot_read(
    stranger: httpx.AsyncClient, user_id: int, deps: TestDeps
) -> None:
    answer = await stranger.post("/sign-in", json={"email": f" {EMAIL.upper()} ", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    value = re.match(r"farwatch_session=([^;]+)", cookie)
    assert value is not None
    async with deps.read() as connection:
        row = await connection.fetchrow("select * from auth.sessions")
        signed_in = await connection.fetchval("select count(*) from log.events where type = 'user.signed_in'")
    assert row is not None
    assert value[1].encode() not in row["id_hash"]
    assert signed_in == 1
    assert (await stranger.get("/api/session")).json()["data"]["user_id"] == user_id


async def test_the_cookie_is_secure_behind_https(app: FastAPI, user_id: int) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://x.test") as http:
        answer = await http.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_form_is_answered_with_redirects(stranger: httpx.AsyncClient, user_id: int) -> None:
    bad = await stranger.post("/sign-in", data={"email": EMAIL, "password": "wrong", "next": "/incidents"})
    assert (bad.status_code, bad.headers["location"]) == (303, "/sign-in?error=credentials&next=%2Fincidents")
    for target, expected in (("/incidents?x=1", "/incidents?x=1"), ("//evil.test", "/"), ("/\\evil.test", "/")):
        good = await stranger.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": target})
        assert (good.status_code, good.headers["location"]) == (303, expected)


async def test_sign_in_rotates_the_session_and_sign_out_ends_it(browser: Browser) -> None:
    before = browser.http.cookies["farwatch_session"]
    answer = await browser.http.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})
    after = browser.http.cookies["farwatch_session"]
    assert before != after
    old = await browser.http.get("/api/status", headers={"Cookie": f"farwatch_session={before}"})
    assert old.status_code == 401
    csrf = answer.json()["data"]["csrf_token"]
    assert (await browser.http.post("/sign-out", headers={"X-CSRF-Token": csrf})).status_code == 200
    gone = await browser.http.get("/api/status", headers={"Cookie": f"farwatch_session={after}"})
    assert gone.status_code == 401


async def test_a_write_with_a_cookie_needs_the_csrf_token(browser: Browser) -> None:
    http = browser.http
    assert (await http.post("/api/monitors", json=MONITOR)).status_code == 403
    assert (await http.post("/api/monitors", json=MONITOR, headers={"X-CSRF-Token": "x"})).status_code == 403
    assert (await http.post("/api/monitors", json=MONITOR, headers=browser.headers())).status_code == 201
    assert (await http.get("/api/monitors")).status_code == 200
    assert (await http.post("/sign-out", data={"csrf_token": "wrong"})).status_code == 403
    assert (await http.post("/sign-out", data={"csrf_token": browser.csrf})).status_code == 303


async def test_a_write_from_another_site_is_refused_even_with_the_token(browser: Browser) -> None:
    for foreign in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = await browser.http.post("/api/monitors", json=MONITOR, headers={**browser.headers(), **foreign})
        assert answer.status_code == 403, foreign
        form = {"email": EMAIL, "password": PASSWORD}
        assert (await browser.http.post("/sign-in", data=form, headers=foreign)).status_code == 403
    own = {**browser.headers(), "Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert (await browser.http.post("/api/monitors", json=MONITOR, headers=own)).status_code == 201


async def test_guessing_is_slowed_down_also_when_done_at_once(
    stranger: httpx.AsyncClient, user_id: int, deps: TestDeps
) -> None:
    guesses = [stranger.post("/sign-in", json={"email": EMAIL, "password": f"guess-{n}"}) for n in range(12)]
    codes = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert codes.count(401) == 5
    assert codes.count(429) == 7
    answer = await stranger.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    async with deps.direct() as connection:
        await connection.execute("update auth.throttle set blocked_until = now() - interval '1 second'")
    assert (await stranger.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})).status_code == 200
    async with deps.read() as connection:
        assert await connection.fetchval("select count(*) from auth.throttle") == 0


async def test_tokens_are_shown_once_scoped_expiring_and_revocable(
    browser: Browser, stranger: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    body = {"name": "ci", "scope": "read"}
    created = data(await browser.http.post("/api/tokens", json=body, headers=browser.headers()), 201)
    token = created["token"]
    assert token.startswith("fw_")
    listed = await browser.http.get("/api/tokens")
    assert token not in listed.text
    assert data(listed)["items"][0]["prefix"] == token[:8]
    bearer = {"Authorization": f"Bearer {token}"}
    stranger.cookies.clear()
    assert (await stranger.get("/api/monitors", headers=bearer)).status_code == 200
    assert (await stranger.post("/api/monitors", json=MONITOR, headers=bearer)).status_code == 403
    async with deps.direct() as connection:
        await connection.execute("update auth.tokens set expires_at = now() - interval '1 second'")
    assert (await stranger.get("/api/monitors", headers=bearer)).status_code == 401
    async with deps.direct() as connection:
        await connection.execute("update auth.tokens set expires_at = null")
    data(await browser.http.delete(f"/api/tokens/{created['id']}", headers=browser.headers()))
    assert (await stranger.get("/api/monitors", headers=bearer)).status_code == 401
    past = {"name": "x", "expires_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    data(await browser.http.post("/api/tokens", json=past, headers=browser.headers()), 422)


async def test_a_read_token_does_not_see_push_addresses(browser: Browser, stranger: httpx.AsyncClient) -> None:
    push = {"type": "push", "name": "Backup"}
    created = (await browser.http.post("/api/monitors", json=push, headers=browser.headers())).json()["data"]
    token = (await browser.http.post("/api/tokens", json={"name": "r"}, headers=browser.headers())).json()["data"]
    shown = await stranger.get("/api/monitors", headers={"Authorization": f"Bearer {token['token']}"})
    assert created["push_url"] not in shown.text
    assert shown.json()["data"]["items"][0]["push_url"].endswith("/push/********")


async def test_a_new_password_ends_every_other_session(
    browser: Browser, app: FastAPI, stranger: httpx.AsyncClient, data: Any
) -> None:
    other = await stranger.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})
    assert other.status_code == 200
    path = f"/api/users/{browser.user_id}"
    change = {"password": "another long password"}
    data(await browser.http.patch(path, json=change, headers=browser.headers()), 403)
    change["current_password"] = PASSWORD
    changed = data(await browser.http.patch(path, json=change, headers=browser.headers()))
    assert (await stranger.get("/api/status")).status_code == 401
    assert (await browser.http.get("/api/status")).status_code == 200
    assert changed["csrf_token"] != browser.csrf
    assert (await stranger.post("/sign-in", json={"email": EMAIL, "password": PASSWORD})).status_code == 401


async def test_users(browser: Browser, data: Any) -> None:
    http, headers = browser.http, browser.headers()
    data(await http.delete(f"/api/users/{browser.user_id}", headers=headers), 409)
    data(await http.patch(f"/api/users/{browser.user_id}", json={"disabled": True}, headers=headers), 409)
    body = {"email": "Bo@Example.com", "password": "another long password", "name": "Bo"}
    bo = data(await http.post("/api/users", json=body, headers=headers), 201)
    assert (bo["email"], bo["role"]) == ("bo@example.com", "admin")
    assert data(await http.post("/api/users", json=body, headers=headers), 422)["errors"][0]["field"] == "email"
    for wrong, field in (
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"role": "admin"}, "role"),
    ):
        errors = data(await http.post("/api/users", json={**body, **wrong}, headers=headers), 422)["errors"]
        assert field in [error["field"] for error in errors]
    listed = await http.get("/api/users")
    assert "argon2" not in listed.text
    assert len(data(listed)["items"]) == 2
    data(await http.delete(f"/api/users/{bo['id']}", headers=headers))


async def test_the_set_up_link_makes_one_admin_once(
    stranger: httpx.AsyncClient, deps: TestDeps, tmp_path: Path, settings: ApiSettings
) -> None:
    file = tmp_path / "link"
    with_file = settings.model_copy(update={"setup_link_file": file})
    await setup.prepare(deps.db, with_file, deps.passwords, BASE, deps.now_ms())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = file.read_text().strip()
    token = link.partition("token=")[2]
    assert (await stranger.get(link)).status_code == 200
    assert (await stranger.get("/setup?token=wrong")).status_code == 403
    body = {"token": token, "email": EMAIL, "password": PASSWORD, "name": "Ada"}
    assert (await stranger.post("/setup", json={**body, "token": "wrong"})).status_code == 403
    assert (await stranger.post("/setup", json={**body, "password": "short"})).status_code == 422
    made = await asyncio.gather(*(stranger.post("/setup", json=body) for _ in range(3)))
    assert sorted(answer.status_code for answer in made) == [200, 403, 403]
    assert (await stranger.get("/api/status")).status_code == 200
    assert (await stranger.get(link)).status_code == 403
    await setup.prepare(deps.db, with_file, deps.passwords, BASE, deps.now_ms())
    assert file.read_text().strip() == link


async def test_settings_make_the_first_admin(
    stranger: httpx.AsyncClient, deps: TestDeps, settings: ApiSettings
) -> None:
    configured = settings.model_copy(update={"admin_email": "Root@Example.com", "admin_password": SecretStr(PASSWORD)})
    for _ in range(2):
        await setup.prepare(deps.db, configured, deps.passwords, BASE, deps.now_ms())
    answer = await stranger.post("/sign-in", json={"email": "root@example.com", "password": PASSWORD})
    assert answer.status_code == 200


async def test_metrics_need_a_token_from_elsewhere(stranger: httpx.AsyncClient, deps: TestDeps) -> None:
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 503
    deps.health.ready = True
    assert (await stranger.get("/readyz")).status_code == 200
    local = await stranger.get("/metrics")
    assert "farwatch_api_requests_total" in local.text
    assert (await stranger.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 401


async def test_no_secret_reaches_the_log(
    browser: Browser, stranger: httpx.AsyncClient, deps: TestDeps, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Whatever goes well or wrong: passwords, tokens, push addresses, secrets of monitors and channels."""
    caplog.set_level("DEBUG")
    headers = browser.headers()
    secrets = ["p4ss-in-monitor", "p4ss-in-channel", "wrong-p4ssword", "fw_wrong-token", PASSWORD, browser.csrf]
    monitor = {**MONITOR, "headers": {"Authorization": secrets[0]}, "name": "x" * 300}
    await browser.http.post("/api/monitors", json=monitor, headers=headers)
    await browser.http.post("/api/monitors", json={**monitor, "name": "fine"}, headers=headers)
    config = {"webhook_url": f"https://x.test/{secrets[1]}"}
    for kind in ("discord", "webhook"):
        await browser.http.post("/api/channels", json={"name": "d", "type": kind, "config": config}, headers=headers)
    await stranger.post("/sign-in", json={"email": EMAIL, "password": secrets[2]})
    await stranger.get("/api/status", headers={"Authorization": f"Bearer {secrets[3]}"})
    push = (await browser.http.post("/api/monitors", json={"type": "push", "name": "p"}, headers=headers)).json()
    secrets.append(push["data"]["push_url"].rpartition("/")[2])
    assert (await stranger.get(f"/push/{secrets[-1]}")).status_code == 503
    deps.db.pool.terminate()
    await stranger.get(f"/push/{secrets[-1]}")
    await browser.http.get("/api/status")
    captured = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    written = "\n".join(ours) + captured.out + captured.err
    assert "database_away" in written
    assert [secret for secret in secrets if secret in written] == []
