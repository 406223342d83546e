"""Secrets of monitors and channels, encrypted wherever they are stored or sent."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

PREFIX = "enc:v1:"


class SecretError(Exception):
    """A key file or a ciphertext that cannot be used. Never holds the secret or the key."""


class SecretBox:
    """Encrypts with its first key and decrypts with any, so that keys can be replaced without a stop.

    Made from a file, it notices when the file was replaced: `farwatch rotate-key` needs no restart.
    """

    def __init__(self, keys: Sequence[str], path: Path | None = None, stamp: int = 0) -> None:
        self._raw = tuple(keys)
        self._keys = _read_keys(keys)
        self._path = path
        self._stamp = stamp

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Keys one a line, the newest first; blank lines and lines that begin with # are skipped."""
        keys, stamp = _read_file(Path(path))
        return cls(keys, Path(path), stamp)

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Self:
        return cls(keys)

    def _refresh(self) -> None:
        """Takes the file's keys when it changed; what cannot be read now leaves those we have."""
        if self._path is None or _stamp_of(self._path) == self._stamp:
            return
        try:
            raw, stamp = _read_file(self._path)
            keys = _read_keys(raw)
        except SecretError:
            return
        self._raw, self._keys, self._stamp = tuple(raw), keys, stamp

    def encrypt(self, plain: str) -> str:
        self._refresh()
        return PREFIX + self._keys.encrypt(plain.encode()).decode("ascii")

    def decrypt(self, stored: str) -> str:
        """Raises SecretError when no key fits or the text was never encrypted."""
        if not self.is_encrypted(stored):
            raise SecretError("the value is not encrypted")
        data = stored[len(PREFIX) :].encode()
        try:
            return self._keys.decrypt(data).decode()
        except InvalidToken:
            self._refresh()
        try:
            return self._keys.decrypt(data).decode()
        except InvalidToken:
            raise SecretError("no key in the key file decrypts this value") from None

    def derive(self, purpose: str) -> list[bytes]:
        """Keys for another purpose, one from each of ours, the newest first: they tell nothing of these."""
        self._refresh()
        return [hmac.new(key.encode(), purpose.encode(), hashlib.sha256).digest() for key in self._raw]

    @staticmethod
    def is_encrypted(value: str) -> bool:
        return value.startswith(PREFIX)

    def __repr__(self) -> str:
        return "SecretBox(********)"


def _read_file(path: Path) -> tuple[list[str], int]:
    """The keys and what tells this content from another."""
    stamp = _stamp_of(path)
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a key file"
        raise SecretError(f"the key file {path} cannot be read: {reason}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")], stamp


def _stamp_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read_keys(keys: Sequence[str]) -> MultiFernet:
    if not keys:
        raise SecretError("no key: `farwatch up` makes a key file, see docs/configuration.md")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise SecretError("a key is not 32 bytes in url-safe base64") from None


def add_key(path: str | Path) -> None:
    """Puts a new key before those in the file, whole or not at all; its mode stays. Raises SecretError."""
    file = Path(path)
    keys, _ = _read_file(file)
    _read_keys(keys)
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write("".join(f"{key}\n" for key in (Fernet.generate_key().decode(), *keys)).encode())
        opened.flush()
        os.fsync(opened.fileno())
    draft.chmod(file.stat().st_mode & 0o777)
    draft.replace(file)


def generate_key_file(path: str | Path) -> bool:
    """Write a new key with mode 0600. An existing file is kept as it is, and False returned."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True
