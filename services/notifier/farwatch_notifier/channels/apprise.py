"""The long tail of services, through the Apprise library.

It sends with blocking calls, so each message has a thread of its own, which is left behind when it takes too long. The
number of threads is bounded, for each channel and in all. The library is loaded with the first message only.
"""

import asyncio
import hashlib
import logging
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farwatch_events.channels import AppriseConfig
from farwatch_events.masking import MASK
from farwatch_notifier.channels.parts import JOINER, headline, plain_text
from farwatch_notifier.message import Alert, Tone
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.outcome import SHORTEST_SECRET, DeliveryError, Sent, redact
from farwatch_notifier.retry import is_final_status
from farwatch_notifier.text import cut_bytes, lines, one_line

if TYPE_CHECKING:
    from apprise import AppriseAsset

TIMEOUT_SECONDS = 15.0
THREADS_PER_CHANNEL = 4
THREADS_MAX = 64
REMEMBERED_MAX = 4096
TITLE_MAX_BYTES = 300
"""As a mail's subject they become three times as many, in one line, of which SMTP takes 998."""
BODY_LIMIT = 4000
SAID_LIMIT = 2000
TYPES: dict[Tone, str] = {"bad": "failure", "warning": "warning", "good": "success", "note": "info"}

_STARTS = re.compile(r"([@<](?=\S)|\](?=\()|=(?=\?))")
_STATUS = re.compile(r"\berror\s*[=:]\s*(\d{3})\b", re.IGNORECASE)


class Refused(Exception):
    """What Apprise said about a message that was not taken."""


class Threads:
    """Daemon threads, so that one that hangs holds up neither the service's end nor another channel."""

    def __init__(self, per_key: int, total: int) -> None:
        self._per_key = per_key
        self._total = total
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def run(self, key: str, work: Callable[[], str], timeout_seconds: float) -> str:
        """Raises BusyError, TimeoutError, or what the work raised."""
        self._take(key)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def settle(result: str | None, error: Exception | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result or "")

        def body() -> None:
            result, error = None, None
            try:
                result = work()
            except Exception as failure:  # noqa: BLE001 - it is raised where the message is awaited
                error = failure
            finally:
                self._give(key)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=body, name="apprise", daemon=True).start()
        async with asyncio.timeout(timeout_seconds):
            return await done

    def _take(self, key: str) -> None:
        with self._lock:
            if self._busy[key] >= self._per_key or self._busy.total() >= self._total:
                raise BusyError
            self._busy[key] += 1

    def _give(self, key: str) -> None:
        with self._lock:
            self._busy[key] -= 1
            if not self._busy[key]:
                del self._busy[key]


class BusyError(Exception):
    """All threads are taken by messages that are still on their way."""


class Receipts:
    """Which URL took which message, so that a retry goes to the others only. Forgotten with the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: OrderedDict[tuple[str, str], None] = OrderedDict()

    def add(self, dedup_key: str, url: str) -> None:
        self._taken[dedup_key, _digest(url)] = None
        while len(self._taken) > self._most:
            self._taken.popitem(last=False)

    def has(self, dedup_key: str, url: str) -> bool:
        return (dedup_key, _digest(url)) in self._taken


_threads = Threads(THREADS_PER_CHANNEL, THREADS_MAX)
_receipts = Receipts(REMEMBERED_MAX)
_loading = threading.Lock()


async def send(config: AppriseConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:  # noqa: ARG001
    """To each URL that has not taken it yet, one after the other; fails when one of them does."""
    title = cut_bytes(harmless(headline(alert)), TITLE_MAX_BYTES)
    text = harmless(lines(plain_text(alert), BODY_LIMIT))
    shown = "\n".join([*(f"apprise {_shown(url)}" for url in config.targets), "", title, "", text])
    answers: list[str] = []
    failures: list[tuple[str, bool]] = []
    for url in config.targets:
        if _receipts.has(dedup_key, url):
            answers.append(f"{_shown(url)} took it before")
            continue
        try:
            said = await _threads.run(_digest(config.urls), _one(url, title, text, alert.tone), TIMEOUT_SECONDS)
        except (Refused, BusyError, TimeoutError, ImportError) as failure:
            failures.append(_judge(url, failure))
        else:
            _receipts.add(dedup_key, url)
            answers.append(f"{_shown(url)} took it. {said}".strip())
    rendered = f"{title}\n\n{text}"
    if not failures:
        return Sent(rendered=rendered, request=shown, answer="\n".join(answers))
    raise DeliveryError(
        "; ".join(said for said, _ in failures),
        permanent=all(final for _, final in failures),
        request=shown,
        answer="\n".join([*answers, *(said for said, _ in failures)]),
        rendered=rendered,
    )


def harmless(text: str) -> str:
    """With an invisible joiner where chats read a mention (@all, <!here>) or a link of Markdown, and mail programs
    an encoded word (=?utf-8?…), which may hide line breaks."""
    return _STARTS.sub(f"\\1{JOINER}", text)


def _one(url: str, title: str, text: str, tone: Tone) -> Callable[[], str]:
    return lambda: notify(url, title, text, TYPES[tone])


def notify(url: str, title: str, text: str, kind: str) -> str:
    """Blocks until the service answered. Returns what Apprise noted; raises Refused with it, or ImportError."""
    asset = load()
    try:
        said, taken = _through_apprise(asset, url, title, text, kind)
    except Exception as failure:  # noqa: BLE001 - a mistake of a plugin, whose text may hold keys
        said, taken = f"Apprise failed: {type(failure).__name__}: {one_line(str(failure), 500)}", False
    said = redact(said, secrets_of(url))[:SAID_LIMIT]
    if not taken:
        raise Refused(said or "Apprise gave no reason")
    return said


def _through_apprise(asset: "AppriseAsset", url: str, title: str, text: str, kind: str) -> tuple[str, bool]:
    import apprise  # noqa: PLC0415 - loaded by load(), with the first message

    target = apprise.Apprise.instantiate(url, asset=asset)
    if target is None:
        return "Apprise does not understand the URL", False
    sender = apprise.Apprise(asset=asset)
    sender.add(target)
    result = sender.notify(body=text, title=title, notify_type=apprise.NotifyType(kind), body_format="text")
    return "\n".join(one_line(str(entry.message), 500) for each in result.results for entry in each.logs()), bool(
        result
    )


def load() -> "AppriseAsset":
    """Apprise with everything off that it does beside sending. Takes a second for the first message."""
    with _loading:
        import apprise  # noqa: PLC0415 - 150 modules that most installations never need
        import requests  # noqa: PLC0415

        # Apprise sends by plain requests.post; its sessions would follow proxies and a .netrc of the environment.
        requests.Session.trust_env = property(lambda _: False, lambda _, __: None)  # type: ignore[assignment]
        # What Apprise notes goes into the trail, without secrets; the others log addresses with the keys in them.
        for name in ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib"):
            logging.getLogger(name).propagate = False
        return apprise.AppriseAsset(
            app_id="Farwatch",
            app_desc="Farwatch",
            app_url="",
            async_mode=False,
            storage_mode="memory",
            service_timeout=0,
            http_redirects=False,
            pgp_autogen=False,
            pem_autogen=False,
            allow_templates=False,
            interpret_escapes=False,
            interpret_emojis=False,
            language="en",
        )


def secrets_of(url: str) -> list[str]:
    """Every part of the URL that may be a key: all but scheme, host and short words."""
    rest = url.partition("://")[2]
    pieces = re.split(r"[/?&=@:#,+]", rest)
    found: Iterable[str] = [*pieces, *(unquote(piece) for piece in pieces)]
    return [url, rest, *(piece for piece in found if len(piece) >= SHORTEST_SECRET)]


def _judge(url: str, failure: Exception) -> tuple[str, bool]:
    """The sentence for people, and whether trying again is useless."""
    if isinstance(failure, TimeoutError):
        return f"{_shown(url)}: no answer within {TIMEOUT_SECONDS:g} s", False
    if isinstance(failure, BusyError):
        return f"{_shown(url)}: earlier messages of this channel still hang", False
    if isinstance(failure, ImportError):
        return f"{_shown(url)}: Apprise cannot be loaded: {failure}", False
    statuses = [int(status) for status in _STATUS.findall(str(failure))]
    final = bool(statuses) and all(is_final_status(status) for status in statuses)
    return f"{_shown(url)}: {failure}", final


def _shown(url: str) -> str:
    """Scheme alone: with Apprise, keys may stand in any other part, the host included."""
    return f"{urlsplit(url).scheme}://{MASK}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
