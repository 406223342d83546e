"""JSONPath, the part of RFC 9535 that looks things up: names, indexes, `*` and `..`. No filters, nothing evaluated."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

PATH_MAX_CHARS = 500
FOUND_MAX = 1000
BELOW_MAX = 20_000
"""Values kept and looked at for each step, so that `..*` on a large answer stays cheap."""

_STEP = re.compile(
    r"""(?P<deep>\.\.)?
        (?: (?<=\.\.)(?P<bare>[^\s.\[\]'"*]+) | \.(?P<name>[^\s.\[\]'"*]+) | (?:\.|(?<=\.\.))(?P<star>\*)
          | \[\s*(?:(?P<index>-?\d{1,9})|(?P<all>\*)|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\] )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Step:
    """`key` of a name or an index; `deep` also looks inside everything below."""

    kind: Literal["name", "index", "all"]
    key: str | int = ""
    deep: bool = False


@lru_cache(maxsize=4096)
def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of `$.a[0]`, also without the `$`. Raises ValueError that says where it stops making sense."""
    if len(text) > PATH_MAX_CHARS:
        raise ValueError(f"a JSONPath has at most {PATH_MAX_CHARS} characters")
    rest = text.strip().removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        found = _STEP.match(rest, position)
        if found is None:
            raise ValueError(f"is no JSONPath from {rest[position : position + 20]!r} on; write $.name, $.list[0].name")
        steps.append(_step(found))
        position = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    deep = found["deep"] is not None
    if found["index"] is not None:
        return Step("index", int(found["index"]), deep)
    if found["star"] is not None or found["all"] is not None:
        return Step("all", deep=deep)
    names = (found["bare"], found["name"], found["single"], found["double"])
    return Step("name", next(name for name in names if name is not None), deep)


def find(document: Any, steps: tuple[Step, ...]) -> list[Any]:
    """Every value the path leads to, in document order, at most FOUND_MAX."""
    found = [document]
    for step in steps:
        places = _below(found) if step.deep else found
        hits = (hit for value in places for hit in _take(value, step))
        found = list(islice(hits, FOUND_MAX))
    return found


def _take(value: Any, step: Step) -> list[Any]:
    if step.kind == "all":
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if step.kind == "name":
        return [value[step.key]] if isinstance(value, dict) and step.key in value else []
    index = int(step.key)
    return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []


def _below(values: list[Any]) -> Iterator[Any]:
    """The values and all that they contain, each once, without recursion and at most BELOW_MAX of them."""
    waiting = values[::-1]
    seen: set[int] = set()
    for _ in range(BELOW_MAX):
        if not waiting:
            return
        each = waiting.pop()
        if not isinstance(each, dict | list):
            yield each
        elif id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting.extend(reversed(each.values() if isinstance(each, dict) else each))
