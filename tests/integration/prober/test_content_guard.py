"""From a real page to the fold's judgement: what probers send is enough to see a defacement."""

from farwatch_events.guard import UNLEARNED, observe
from tests.integration.prober.conftest import Check
from tests.support.http import HttpServer, Response

PAGE = (
    b"<html><head><title>Shop</title><script src='https://cdn.example.net/a.js'></script></head>" + b"<p>pears</p>" * 99
)
HTML = {"Content-Type": "text/html; charset=utf-8"}


async def test_a_page_is_learned_and_its_defacement_seen(check: Check, http_target: HttpServer) -> None:
    http_target.response = Response(200, PAGE, HTML)
    guard = UNLEARNED
    for _ in range(4):
        result = await check(type="http", url=http_target.url, content_guard=True)
        assert result.page is not None
        guard = observe(guard, result.page)
    assert (guard.has_learned, guard.differences) == (True, ())
    http_target.response = Response(200, PAGE + b"<script src=//evil.example/></script>", HTML)
    result = await check(type="http", url=http_target.url, content_guard=True)
    assert (result.outcome, result.page is not None) == ("up", True)
    assert result.page is not None
    assert observe(guard, result.page).differences == ("A script from evil.example is new on the page",)
    http_target.response = Response(503, b"<html>broken</html>", HTML)
    result = await check(type="http", url=http_target.url, content_guard=True)
    assert (result.outcome, result.page) == ("down", None), "failures have nothing to teach"


async def test_without_the_guard_nothing_is_sent(check: Check, http_target: HttpServer) -> None:
    assert (await check(type="http", url=http_target.url)).page is None
