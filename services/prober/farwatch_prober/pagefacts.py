"""What kind of page an answer is, for the content guard: title, foreign hosts, size, tell-tale contents. Pure.

A scanner of its own, because a parser in Python takes a second for what it reads of a large page and this a few
milliseconds: every step moves on, so that no page can make it slow.
"""

import hashlib
import html
import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlsplit

from farwatch_events.guard import HOST_MAX_CHARS, HOSTS_MAX, TITLE_MAX_CHARS, Page

TEXT_MAX_CHARS = 512 * 1024
TAGS_MAX = 100_000
TELLING_MAX = 4000
TAG_MAX_CHARS = 4096

_ATTRIBUTE = re.compile(r"""([a-z-]{1,32})\s{0,8}=\s{0,8}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_STOP = re.compile("[>\"']")
_NAME = re.compile(r"[a-z][a-z0-9]{0,15}", re.IGNORECASE)
_SOURCES = {
    "script": ("script", "src"),
    "iframe": ("frame", "src"),
    "frame": ("frame", "src"),
    "embed": ("frame", "src"),
    "object": ("frame", "data"),
    "form": ("form", "action"),
    "button": ("form", "formaction"),
    "a": ("link", "href"),
    "area": ("link", "href"),
}
_RAW = ("script", "style", "textarea")
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})

_DEFAULT = "Looks like the default page of {0}"
_MARKS = (
    ("welcome to nginx!", _DEFAULT.format("nginx")),
    ("apache2 ubuntu default page", _DEFAULT.format("Apache")),
    ("apache2 debian default page", _DEFAULT.format("Apache")),
    ("<h1>it works!</h1>", _DEFAULT.format("Apache")),
    ("test page for the apache http server", _DEFAULT.format("Apache")),
    ("<title>iis windows server</title>", _DEFAULT.format("IIS")),
    ("caddy works!", _DEFAULT.format("Caddy")),
    ("default web site page", _DEFAULT.format("the web host")),
    ("<title>index of /", "Shows the list of files of a folder"),
    ("traceback (most recent call last)", "Shows a stack trace (Python)"),
    ("debug = true</code> in your", "Shows the debug page of Django"),
    ("fatal error: uncaught ", "Shows a stack trace (PHP)"),
    ("<b>fatal error</b>:", "Shows an error of PHP"),
    ("exception in thread &quot;", "Shows a stack trace (Java)"),
    ("\tat java.", "Shows a stack trace (Java)"),
    ("\tat org.springframework.", "Shows a stack trace (Java)"),
    ("whitelabel error page", "Shows the error page of Spring"),
    ("server error in '/' application", "Shows the error page of ASP.NET"),
    ("    at object.&lt;anonymous&gt; (", "Shows a stack trace (JavaScript)"),
    ("sqlstate[", "Shows an error of the database"),
    ("you have an error in your sql syntax", "Shows an error of the database"),
    ("error establishing a database connection", "Says that it has no connection to its database"),
    ("hacked by ", 'Says "hacked by"'),
    ("defaced by ", 'Says "defaced by"'),
)


def page_facts(text: str, content_type: str | None, host: str, size_bytes: int, request: str) -> Page:
    """`host` is where the answer came from; `request` tells what was asked for (URL and method)."""
    text = text[:TEXT_MAX_CHARS]
    kind = (content_type or "").partition(";")[0].strip().lower()[:100]
    of = hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    lowered = text.lower()
    marks = tuple(dict.fromkeys(words for needle, words in _MARKS if needle in lowered))
    if not _is_html(kind, lowered):
        return Page(of=of, content_type=kind, size_bytes=size_bytes, marks=marks)
    title, hosts = _scan(text, site_of(host))
    return Page(
        of=of,
        content_type=kind,
        title=title,
        size_bytes=size_bytes,
        script=_bounded(hosts["script"]),
        frame=_bounded(hosts["frame"]),
        form=_bounded(hosts["form"]),
        link=_bounded(hosts["link"]),
        marks=marks,
    )


def _is_html(kind: str, lowered: str) -> bool:
    return "html" in kind or (not kind and "<html" in lowered[:1024])


def site_of(host: str) -> str:
    """The part of a host that belongs to one owner: example.org of www.example.org, an address as it is."""
    labels = host.lower().rstrip(".").split(".")
    if len(labels) <= 2 or labels[-1].isdigit() or ":" in host:
        return ".".join(labels)
    return ".".join(labels[-3:] if labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2 else labels[-2:])


def _scan(text: str, own_site: str) -> tuple[str, dict[str, set[str]]]:
    title = ""
    hosts: dict[str, set[str]] = {"script": set(), "frame": set(), "form": set(), "link": set()}
    for name, tag, after in islice(_tags(text), TELLING_MAX):
        if name == "title" and not title:
            title = " ".join(html.unescape(after.partition("<")[0]).split())[:TITLE_MAX_CHARS]
            continue
        part, attribute = ("frame", "content") if name == "meta" else _SOURCES[name]
        attributes = _attributes(tag)
        value = attributes.get(attribute, "")
        if name == "meta":
            is_refresh = attributes.get("http-equiv", "").lower() == "refresh"
            value = value.partition("=")[2].strip(" '\"") if is_refresh else ""
        found = _host(value)
        if found and site_of(found) != own_site:
            hosts[part].add(found[:HOST_MAX_CHARS])
    return title, hosts


def _tags(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, text and what follows of each tag that matters. Comments and the insides of scripts are passed over."""
    lowered = text.lower()
    position = 0
    for _ in range(TAGS_MAX):
        position = text.find("<", position)
        if position < 0:
            return
        if text.startswith("<!--", position):
            position = text.find("-->", position + 4)
            if position < 0:
                return
            continue
        found = _NAME.match(text, position + 1)
        if found is None:
            position += 1
            continue
        name = found[0].lower()
        end = _end_of_tag(text, found.end())
        if name in _SOURCES or name in ("title", "meta"):
            yield name, text[found.end() : min(end, found.end() + TAG_MAX_CHARS)], text[end + 1 : end + 1000]
        position = end + 1
        if name in _RAW and (position := lowered.find(f"</{name}", position)) < 0:
            return


def _end_of_tag(text: str, start: int) -> int:
    """Where the tag's > is: not one inside quotes. A tag longer than TAG_MAX_CHARS is passed over as a whole."""
    limit = min(len(text), start + TAG_MAX_CHARS)
    position = start
    while found := _STOP.search(text, position, limit):
        if found[0] == ">":
            return found.start()
        is_quote = text[found.start() - 1] in "= \t\r\n"
        closing = text.find(found[0], found.end(), limit) if is_quote else found.start()
        if closing < 0:
            break
        position = closing + 1
    end = text.find(">", limit)
    return end if end >= 0 else len(text)


def _attributes(tag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(tag):
        found.setdefault(name.lower(), html.unescape(double or single or bare).strip())
    return found


def _host(address: str) -> str:
    """The host of an absolute address, "data:" for content in the address itself, "" for one on the same site."""
    address = "".join(address.split()).replace("\\", "/")
    if address.lower().startswith("data:"):
        return "data:"
    if not address.startswith("//") and not address.lower().startswith(("http:", "https:", "ftp:", "ws:", "wss:")):
        return ""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _bounded(hosts: set[str]) -> tuple[str, ...]:
    return tuple(sorted(hosts)[:HOSTS_MAX])
