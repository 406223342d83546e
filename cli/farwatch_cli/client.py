"""Farwatch's REST API as the commands use it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx

from farwatch_cli.failures import Failure
from farwatch_cli.settings import UpSettings, read_option
from farwatch_runtime.settings import SettingsError

ADDRESS_FILE: Final = "address"
TOKEN_FILE: Final = "api-token"  # noqa: S105 - the name of a file
_PAGE: Final = 200
_SECONDS: Final = 20.0


class ApiFailure(Failure):
    """The API refused or did not answer."""


class Client:
    """Sends the token with each request and takes answers out of their envelope; raises ApiFailure."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_SECONDS, trust_env=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """FARWATCH_URL and FARWATCH_API_TOKEN, else what a `farwatch up` of this account wrote into its folder."""
        folder = UpSettings.read(environ).data_dir.expanduser()
        url = read_option("FARWATCH_URL", environ) or _read(folder / ADDRESS_FILE)
        token = read_option("FARWATCH_API_TOKEN", environ) or _read(folder / TOKEN_FILE)
        if url is None:
            raise SettingsError(f"no Farwatch runs on {folder}: start `farwatch up`, or set FARWATCH_URL.")
        if token is None:
            raise SettingsError("FARWATCH_API_TOKEN is not set: set it to the token of that Farwatch.")
        return cls(url, token)

    def get(self, path: str, **query: object) -> Any:
        return self.send("GET", path, query={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: object = None, timeout_seconds: float = _SECONDS) -> Any:
        return self.send("POST", path, body=body, timeout_seconds=timeout_seconds)

    def put(self, path: str, body: object) -> Any:
        return self.send("PUT", path, body=body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)

    def items(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """All items of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit=_PAGE, cursor=cursor, **query)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        timeout_seconds: float = _SECONDS,
    ) -> Any:
        try:
            answer = self._http.request(method, path, json=body, params=query, timeout=timeout_seconds)
        except httpx.HTTPError as error:
            raise ApiFailure(f"{self.url} does not answer: {str(error) or type(error).__name__}") from None
        if answer.is_success:
            return answer.json().get("data") if answer.content else None
        raise ApiFailure(_explain(answer))


def _explain(answer: httpx.Response) -> str:
    try:
        envelope = answer.json()
        problems = (envelope.get("data") or {}).get("errors") or []
        named = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
        return f"{answer.status_code}: {named or envelope.get('message') or answer.reason_phrase}"
    except (ValueError, AttributeError, TypeError, KeyError):
        return f"{answer.status_code} {answer.reason_phrase}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
