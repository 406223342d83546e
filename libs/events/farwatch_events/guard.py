"""The content guard: what a page is, learned from good answers, and what makes it another one. Pure.

A prober sends what it saw with each result (`Page`), the fold keeps what it learned for each region (`Guard`).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from farwatch_events.model import Message

HOSTS_MAX = 40
TITLE_MAX_CHARS = 200
HOST_MAX_CHARS = 100
LEARNED_AFTER = 3
DIFFERENCES_MAX = 8

Part = Literal["script", "frame", "form", "link"]
_SENTENCES: dict[Part, str] = {
    "script": "A script from {0} is new on the page",
    "frame": "A frame of {0} is new on the page",
    "form": "A form that sends to {0} is new on the page",
    "link": "A link to {0} is new on the page",
}
_NUMBERS = re.compile(r"\d+")


class Page(Message):
    """What there is to know of one answer. Hosts are those of other sites only; `marks` are tell-tale contents.

    `of` tells one request from another: a page is never compared with one that was asked for differently.
    """

    of: str = ""
    content_type: str = ""
    title: str = ""
    size_bytes: int = 0
    script: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


class Guard(Message):
    """What one region learned. `titles` is empty when they changed by themselves; `seen` is the page that differed."""

    of: str = ""
    samples: int = 0
    content_types: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    titles_vary: bool = False
    least_bytes: int = 0
    most_bytes: int = 0
    script: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    seen: Page | None = None
    differences: tuple[str, ...] = Field(default=())

    @property
    def has_learned(self) -> bool:
        return self.samples >= LEARNED_AFTER


UNLEARNED = Guard()


def observe(guard: Guard, page: Page) -> Guard:
    """The guard after a good answer. While it learns it takes everything in; then `differences` say what is new."""
    if guard.of != page.of:
        guard = Guard(of=page.of)
    if not guard.has_learned:
        return _take_in(guard, page)
    found = tuple(differences(guard, page))[:DIFFERENCES_MAX]
    return guard.model_copy(update={"differences": found, "seen": page if found else None})


def accept(guard: Guard) -> Guard:
    """The page that differed is right: it counts along with what was known before."""
    return guard if guard.seen is None else _take_in(guard, guard.seen)


def _take_in(guard: Guard, page: Page) -> Guard:
    title = _plain(page.title)
    first = guard.samples == 0
    learning = not guard.has_learned
    return Guard(
        of=page.of,
        samples=min(guard.samples + 1, LEARNED_AFTER),
        content_types=_union(guard.content_types, [page.content_type]),
        titles=_union(guard.titles, [title]),
        titles_vary=guard.titles_vary or (learning and not first and title not in guard.titles),
        least_bytes=page.size_bytes if first else min(guard.least_bytes, page.size_bytes),
        most_bytes=max(guard.most_bytes, page.size_bytes),
        script=_union(guard.script, page.script),
        frame=_union(guard.frame, page.frame),
        form=_union(guard.form, page.form),
        link=_union(guard.link, page.link),
        marks=_union(guard.marks, page.marks),
    )


def differences(guard: Guard, page: Page) -> Iterable[str]:
    """Sentences, the most telling first."""
    for mark in page.marks:
        if mark not in guard.marks:
            yield mark
    if page.content_type not in guard.content_types:
        known = " or ".join(kind or "nothing" for kind in guard.content_types)
        yield f"The answer is {page.content_type or 'of no type'}; it was {known}"
    parts: tuple[tuple[Part, Sequence[str], Sequence[str]], ...] = (
        ("script", page.script, guard.script),
        ("frame", page.frame, guard.frame),
        ("form", page.form, guard.form),
        ("link", page.link, guard.link),
    )
    for part, seen, known_hosts in parts:
        for host in seen:
            if host not in known_hosts:
                yield _SENTENCES[part].format(host)
    if not guard.titles_vary and _plain(page.title) not in guard.titles:
        yield f'The title is "{page.title}"; it was "{guard.titles[-1]}"' if page.title else "The title is gone"
    if (size := _odd_size(guard, page.size_bytes)) is not None:
        yield size


def _odd_size(guard: Guard, size_bytes: int) -> str | None:
    """A third of the smallest and three times the largest that was learned are still the same page."""
    known = _bytes(guard.least_bytes)
    if guard.most_bytes != guard.least_bytes:
        known += f" to {_bytes(guard.most_bytes)}"
    if not size_bytes and guard.least_bytes:
        return f"The page is empty; it had {known}"
    if size_bytes * 3 < guard.least_bytes or size_bytes > 3 * guard.most_bytes + 4096:
        return f"The page has {_bytes(size_bytes)}; it had {known}"
    return None


def _bytes(size: int) -> str:
    return f"{size:,} bytes" if size < 10_000 else f"{size / 1000:,.0f} kB"


def _plain(title: str) -> str:
    """Counters and dates in a title change by themselves."""
    return _NUMBERS.sub("#", title)


def _union(before: Sequence[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))[: 4 * HOSTS_MAX]
