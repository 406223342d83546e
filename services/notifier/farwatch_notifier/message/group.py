"""One message about many troubles. Pure."""

from collections.abc import Sequence
from typing import Literal

from farwatch_notifier.message.alert import Alert, Member
from farwatch_notifier.message.parts import Fields
from farwatch_notifier.message.words import compose
from farwatch_notifier.text import one_line

MEMBERS_MAX = 100


def build_group(
    kind: Literal["group_down", "group_up", "group_behind"],
    title: str,
    thread: str,
    members: Sequence[Member],
    at_ms: int,
    public_url: str,
    key: str,
) -> Alert:
    """It names the first of them and counts all. `key` is the message's: its page lists every one."""
    shown = [member.model_copy(update={"name": one_line(member.name, 80)}) for member in members[:MEMBERS_MAX]]
    base = public_url.rstrip("/")
    fields: Fields = {
        "at_ms": at_ms,
        "thread": thread,
        "group": one_line(title, 200),
        "count": len(members),
        "members": shown,
        "since_ms": min((m.since_ms for m in members if m.since_ms is not None), default=None),
        "link": f"{base}/incidents?told={key}" if base else None,
    }
    return compose(kind, fields)
