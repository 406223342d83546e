import pytest

from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.redirects import Hop, next_hop, parse_target

HEADERS = {
    "Authorization": "Bearer t", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "text/html", "Host": "other.test",
    "Content-Type": "text/plain",
}  # fmt: skip


def hop(url: str = "https://a.test/x/y?q=1", method: str = "GET", body: bytes | None = None) -> Hop:
    return Hop(parse_target(url), method, HEADERS, body)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/z", "https://a.test/z"), ("z", "https://a.test/x/z"), ("?p", "https://a.test/x/y?p"),
        ("//b.test/z#part", "https://b.test/z"), ("http://b.test", "http://b.test/"),
        ("HTTPS://B.test:444/A", "https://b.test:444/A"), ("/ä b", "https://a.test/%C3%A4%20b"),
        ("/a%20b", "https://a.test/a%20b"), ("https://bücher.test/", "https://xn--bcher-kva.test/"),
        ("https://user:pw@b.test/", "https://b.test/"), ("http://[::1]:80/", "http://[::1]:80/"), (" /z ", "https://a.test/z"),
    ],
)  # fmt: skip
def test_where_it_leads(location: str, url: str) -> None:
    assert next_hop(hop(), 302, location).target.url == url


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://x/", "javascript:1", "http://", "http://a:99999/", "http://[::1"]
)
def test_where_it_must_not_lead(location: str) -> None:
    with pytest.raises(ProbeFailure, match="Redirected to a bad address") as failure:
        next_hop(hop(), 302, location)
    assert failure.value.error_class == "redirect"


@pytest.mark.parametrize(
    ("before", "after", "go_along"),
    [
        ("https://a.test/", "https://a.test/b", True),
        ("http://a.test/", "https://a.test/", True),
        ("https://a.test/", "http://a.test/", False),
        ("https://a.test/", "https://a.test:8443/", False),
        ("http://a.test:8080/", "https://a.test/", False),
        ("https://a.test/", "https://b.test/", False),
        ("https://a.test/", "https://sub.a.test/", False),
    ],
)
def test_credentials_stay_with_their_host(before: str, after: str, go_along: bool) -> None:
    headers = next_hop(hop(before), 307, after).headers
    assert {"Authorization", "Cookie", "X-Api-Key", "Host"} & set(headers) == (
        {"Authorization", "Cookie", "X-Api-Key", "Host"} if go_along else set()
    )
    assert headers["Accept"] == "text/html"


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"),
        (302, "PUT", "PUT"), (307, "POST", "POST"), (308, "POST", "POST"), (302, "GET", "GET"),
    ],
)  # fmt: skip
def test_methods(status: int, method: str, becomes: str) -> None:
    moved = next_hop(hop(method=method, body=b"x"), status, "/z")
    assert moved.method == becomes
    dropped = method != becomes
    assert (moved.body is None) == dropped
    assert ("Content-Type" not in moved.headers) == dropped
