from typing import Any

import pytest

from farwatch_prober.cookies import COOKIES_MAX, CookieJar
from farwatch_prober.redirects import parse_target

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("url", "line", "asked", "sent"),
    [
        ("http://a.test/x/y", "s=1", "http://a.test/x/z", "s=1"),
        ("http://a.test/x/y", "s=1", "http://a.test/x", "s=1"),
        ("http://a.test/x/y", "s=1", "http://a.test/xy", ""),
        ("http://a.test/x/y", "s=1; Path=/", "http://a.test/other?q=/", "s=1"),
        ("http://a.test/", "s=1", "http://b.a.test/", ""),
        ("http://a.test/", "s=1; Domain=.a.test", "http://b.a.test/", "s=1"),
        ("http://b.a.test/", "s=1; domain=a.test", "http://a.test/", "s=1"),
        ("http://b.a.test/", "s=1; Domain=c.test", "http://c.test/", ""),
        ("http://a.test/", "s=1; Domain=test", "http://b.test/", ""),
        ("http://nota.test/", "s=1; Domain=a.test", "http://a.test/", ""),
        ("http://127.0.0.1/", "s=1; Domain=0.0.1", "http://1.0.0.1/", ""),
        ("https://a.test/", "s=1; Secure", "http://a.test/", ""),
        ("https://a.test/", "s=1; Secure", "https://a.test/", "s=1"),
        ("http://a.test/", "s=1; Max-Age=0", "http://a.test/", ""),
        ("http://a.test/", "s=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://a.test/", "s=1"),
        ("http://a.test/", "s=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://a.test/", ""),
        ("http://a.test/", "s=1; Expires=whenever", "http://a.test/", "s=1"),
        ("http://a.test/", "nothing", "http://a.test/", ""),
        ("http://a.test/", "=1", "http://a.test/", ""),
        ("http://a.test/", "s=a\x01b", "http://a.test/", ""),
        ("http://a.test/", "s=a=b", "http://a.test/", "s=a=b"),
    ],
)
def test_who_gets_a_cookie(url: str, line: str, asked: str, sent: str) -> None:
    jar = CookieJar()
    jar.take(parse_target(url), [line], NOW)
    assert jar.header(parse_target(asked)) == sent


def test_later_ones_replace_earlier_ones_and_longer_paths_come_first() -> None:
    jar, target = CookieJar(), parse_target("http://a.test/x/")
    jar.take(target, ["s=1; Path=/", "t=1; Path=/x", "s=2; Path=/"], NOW)
    assert jar.header(target) == "t=1; s=2"
    jar.take(target, ["s=; Path=/; Max-Age=-1"], NOW)
    assert jar.header(target) == "t=1"


def test_a_jar_is_bounded() -> None:
    jar, target = CookieJar(), parse_target("http://a.test/")
    lines: list[Any] = [f"c{n}=" + "x" * 9999 for n in range(200)]
    jar.take(target, lines, NOW)
    assert jar.header(target).count("=") == COOKIES_MAX
    assert len(jar.header(target)) <= COOKIES_MAX * 4098
