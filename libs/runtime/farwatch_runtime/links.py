"""Signed links in messages: whoever holds one may do the one thing it names, without signing in, once."""

from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from farwatch_runtime.secrets import SecretBox

PURPOSE = "farwatch alert link"
VALID_SECONDS = 7 * 86_400
PATH = "/alert/"


@dataclass(frozen=True, slots=True)
class AlertLink:
    """`thread` is the trouble ("incident-3", "drill-2"), `key` the message the link stands in."""

    thread: str
    channel_id: int
    key: str


def make_link(box: SecretBox, public_url: str, link: AlertLink) -> str | None:
    """None without a public address or for what nobody can acknowledge."""
    if not public_url or not link.thread.startswith(("incident-", "drill-")):
        return None
    token = _serializer(box).dumps([link.thread, link.channel_id, link.key])
    return f"{public_url.rstrip('/')}{PATH}{token}"


def read_link(box: SecretBox, token: str) -> AlertLink | None:
    """None for a token that is not ours, was changed or is older than a week."""
    try:
        thread, channel_id, key = _serializer(box).loads(token, max_age=VALID_SECONDS)
        return AlertLink(str(thread), int(channel_id), str(key))
    except (BadData, ValueError, TypeError):
        return None


def _serializer(box: SecretBox) -> URLSafeTimedSerializer:
    """Signs with the newest key, which it wants last."""
    return URLSafeTimedSerializer(list(reversed(box.derive(PURPOSE))), salt=PURPOSE)
