"""What to put into a job so that it calls its push monitor: ready to copy. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

CURL = "curl -fsS -m 10 --retry 5"


class Snippet(NamedTuple):
    label: str
    text: str


def snippets(monitor: Mapping[str, Any]) -> list[Snippet]:
    """For a push monitor as the API answers it, its address masked where the reader may not know it."""
    url = str(monitor["push_url"])
    return [
        Snippet("At the end of a script", f"{CURL} '{url}'"),
        Snippet("With duration and exit code", f"{CURL} '{url}/start'\n/path/to/job\n{CURL} \"{url}/$?\""),
        Snippet("When the job failed", f"{CURL} '{url}/fail' --data-raw 'disk full'"),
        Snippet("In a crontab", f'{_when(monitor)} /path/to/job; {CURL} "{url}/$?" > /dev/null'),
        Snippet("In a systemd service", _systemd(url)),
        Snippet("In Python", _python(url)),
    ]


def _when(monitor: Mapping[str, Any]) -> str:
    """The schedule of the monitor, or the nearest that a crontab can say to its interval."""
    if monitor.get("cron"):
        return str(monitor["cron"])
    minutes = max(1, int(monitor["interval_seconds"]) // 60)
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 24 * 60 else "0 3 * * *"


def _systemd(url: str) -> str:
    end = f"case $EXIT_STATUS in [0-9]*) end=$EXIT_STATUS;; *) end=fail;; esac; {CURL} {url}/$end"
    return (
        "[Service]\nType=oneshot\n"
        f"ExecStartPre=-/usr/bin/{CURL} {url}/start\n"
        "ExecStart=/path/to/job\n"
        f"ExecStopPost=-/bin/sh -c '{end}'"
    )


def _python(url: str) -> str:
    return f"""from urllib.request import urlopen

url = "{url}"
urlopen(f"{{url}}/start", timeout=10)
try:
    job()
except Exception as error:
    urlopen(f"{{url}}/fail", data=str(error).encode(), timeout=10)
    raise
urlopen(url, timeout=10)"""
