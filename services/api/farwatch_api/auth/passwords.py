"""argon2id in threads of its own, a bounded number at a time: it takes memory and time by design."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from farwatch_api.errors import Unavailable
from farwatch_api.settings import PASSWORD_MIN_CHARS

T = TypeVar("T")

THREADS = 2
WAITING_MAX = 16
PASSWORD_MAX_CHARS = 1024


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """None takes as long as a wrong password, so that the time does not tell which accounts exist."""
        return await self._run(lambda: self._verify(stored, password))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many sign-ins at once. Try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def password_problem(password: str, email: str = "") -> str | None:
    """Why this password will not do, None when it will."""
    if len(password) < PASSWORD_MIN_CHARS:
        return f"must have at least {PASSWORD_MIN_CHARS} characters"
    if len(password) > PASSWORD_MAX_CHARS:
        return f"must have at most {PASSWORD_MAX_CHARS} characters"
    if email and password.lower() == email.lower():
        return "must not be the e-mail address"
    if len(set(password)) < 4:
        return "is too simple: use more different characters"
    return None
