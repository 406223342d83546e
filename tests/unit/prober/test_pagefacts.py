"""What the content guard makes of pages: defacement is seen, ordinary edits are not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.guard import HOSTS_MAX, LEARNED_AFTER, UNLEARNED, Guard, Page, accept, observe
from farwatch_prober.pagefacts import page_facts, site_of

SHOP = """<!doctype html><html><head><title>Ada's  shop &amp; more</title>
<script src="/app.js"></script><script src="https://cdn.example.net/x.js"></script>
<script>document.write('<script src="https://inline.example/y.js">')</script>
<!-- <a href="https://comment.example/">old</a> --></head><body>
<a href="/about">About</a> <a href="https://www.shop.example/x">Us</a> <a href="https://partner.example/">Partner</a>
<iframe src="//maps.example.com/embed"></iframe>
<form action="https://pay.example.com/"><input name="q" value="<a href='https://value.example/'>"></form>
""" + "<p>Buy one, get one.</p>\n" * 60 + "</body></html>"  # fmt: skip


def page(text: str = SHOP, content_type: str = "text/html; charset=utf-8", request: str = "GET https://shop") -> Page:
    return page_facts(text, content_type, "shop.example", len(text), request)


def learned(*pages: Page) -> Guard:
    guard = UNLEARNED
    for each in pages or (page(),) * LEARNED_AFTER:
        guard = observe(guard, each)
        assert guard.differences == ()
    assert guard.has_learned
    return guard


def test_what_a_page_is() -> None:
    assert page().model_dump(exclude={"of"}) == {
        "content_type": "text/html",
        "title": "Ada's shop & more",
        "size_bytes": len(SHOP),
        "script": ("cdn.example.net",),
        "frame": ("maps.example.com",),
        "form": ("pay.example.com",),
        "link": ("partner.example",),
        "marks": (),
    }


EDITS = {
    "a new paragraph": SHOP.replace("<p>", "<p>Now with pears. ", 1),
    "half the text gone": SHOP.replace("<p>Buy one, get one.</p>\n", "", 30),
    "a link to a page of our own": SHOP.replace("</body>", "<a href='https://blog.shop.example/new'>News</a></body>"),
    "a script of our own": SHOP.replace("</body>", "<script src='https://static.shop.example/n.js'></script></body>"),
    "the partner is gone": SHOP.replace('<a href="https://partner.example/">Partner</a>', ""),
    "a word that looks like a tag": SHOP.replace("</body>", "1 < 2 and a<b</body>"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_ordinary_edits_raise_nothing(edit: str) -> None:
    assert observe(learned(), page(EDITS[edit])).differences == ()


ATTACKS: dict[str, tuple[str, str]] = {
    "an injected script": (
        SHOP.replace("</body>", "<ScRiPt async src=https://evil.example/m.js></script></body>"),
        "A script from evil.example is new on the page",
    ),
    "a script from an address with tricks": (
        SHOP.replace("</body>", "<script src='\thttps:\\\\evil.example\\m.js'></script></body>"),
        "A script from evil.example is new on the page",
    ),
    "a script in the address itself": (
        SHOP.replace("</body>", "<script src='data:text/javascript,x()'></script></body>"),
        "A script from data: is new on the page",
    ),
    "spam links": (
        SHOP.replace("</body>", "<div style='display:none'><a href='http://pills.example/'>x</a></div></body>"),
        "A link to pills.example is new on the page",
    ),
    "a hidden frame": (
        SHOP.replace("</body>", "<iframe width=0 src='https://miner.example/'></iframe></body>"),
        "A frame of miner.example is new on the page",
    ),
    "a jump elsewhere": (
        SHOP.replace("</head>", '<meta http-equiv="refresh" content="0; url=https://evil.example/"></head>'),
        "A frame of evil.example is new on the page",
    ),
    "a form to somebody else": (
        SHOP.replace("https://pay.example.com/", "https://phish.example/"),
        "A form that sends to phish.example is new on the page",
    ),
    "defacement": ("<html><title>0wned</title><h1>Hacked by somebody</h1></html>", 'Says "hacked by"'),
    "another title": (
        SHOP.replace("Ada's  shop", "Casino"), 'The title is "Casino & more"; it was "Ada\'s shop & more"',
    ),
    "nothing at all": ("", "The page is empty; it had"),
    "a default page": (
        "<html><title>Welcome to nginx!</title></html>", "Looks like the default page of nginx",
    ),
    "a stack trace": (SHOP + "<pre>Traceback (most recent call last):\n", "Shows a stack trace (Python)"),
    "a database error": (SHOP + "SQLSTATE[HY000] [2002]", "Shows an error of the database"),
    "far larger": (SHOP + "x" * 50_000, "The page has 52 kB; it had 2,"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_ordinary_edit_is_named(attack: str) -> None:
    text, sentence = ATTACKS[attack]
    found = observe(learned(), page(text)).differences
    assert any(each.startswith(sentence) for each in found), found


def test_html_where_json_was() -> None:
    json_page = page('{"status": "ok"}', "application/json")
    found = observe(learned(json_page, json_page, json_page), page("<html>Login</html>", "text/html")).differences
    assert found == ("The answer is text/html; it was application/json", "The title is gone")[:1]


def test_titles_that_change_by_themselves_say_nothing() -> None:
    counting = [page(SHOP.replace("Ada", f"({n}) Ada")) for n in (1, 22, 3)]
    assert observe(learned(*counting), page(SHOP.replace("Ada", "(99) Ada"))).differences == ()
    varied = [page(SHOP.replace("Ada", name)) for name in ("Ada", "Bob", "Ada")]
    assert observe(learned(*varied), page(SHOP.replace("Ada", "Carol"))).differences == ()


def test_one_click_accepts_the_new_state() -> None:
    changed = page(SHOP.replace("Ada", "Eve").replace("</body>", "<a href='https://new.example'>n</a></body>"))
    guard = observe(learned(), changed)
    assert len(guard.differences) == 2
    guard = accept(guard)
    assert (guard.differences, guard.seen) == ((), None)
    assert observe(guard, changed).differences == ()
    assert observe(guard, page()).differences == (), "and the way back is no alarm either"
    assert observe(guard, page(ATTACKS["defacement"][0])).differences
    assert accept(guard) == guard, "nothing to accept"


def test_what_differs_is_told_until_it_is_accepted_or_gone() -> None:
    guard = observe(observe(learned(), page("")), page(""))
    assert guard.differences
    assert observe(guard, page()).differences == ()


def test_another_request_is_learned_anew() -> None:
    guard = observe(learned(), page("<title>Other</title>", request="GET https://other"))
    assert (guard.samples, guard.differences) == (1, ())


@pytest.mark.parametrize(
    ("host", "site"),
    [("www.example.org", "example.org"), ("example.org", "example.org"), ("a.b.example.co.uk", "example.co.uk"),
     ("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("localhost", "localhost")],
)  # fmt: skip
def test_sites(host: str, site: str) -> None:
    assert site_of(host) == site


@given(st.text(alphabet="<>!-=\"'/ascriptle href\n&;#x0", max_size=400))
def test_no_text_is_too_odd(text: str) -> None:
    facts = page(text)
    assert all(len(hosts) <= HOSTS_MAX for hosts in (facts.script, facts.frame, facts.form, facts.link))
    assert Page.from_bytes(facts.to_bytes()) == facts


@pytest.mark.parametrize(
    "text",
    ["<!--" * 200_000, "<script>" * 100_000, "<a href='" * 100_000, "<" * 1_000_000, "<a " * 300_000,
     "".join(f"<a href=//h{n}.example/>" for n in range(40_000)), "<a x=" * 200_000],
)  # fmt: skip
def test_no_page_makes_it_slow_or_large(text: str) -> None:
    started = time.process_time()
    facts = page(text)
    assert time.process_time() - started < 1.5
    assert len(facts.to_bytes()) < 8192
