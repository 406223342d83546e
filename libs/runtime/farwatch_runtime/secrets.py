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
    """Encrypts with its first key and decrypts with any, so that keys can be replaced without a stop."""

    def __init__(self, keys: MultiFernet, raw: Sequence[str] = ()) -> None:
        self._keys = keys
        self._raw = tuple(raw)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Keys one a line, the newest first; blank lines and lines that begin with # are skipped."""
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a key file"
            raise SecretError(f"the key file {path} cannot be read: {reason}") from None
        return cls.from_keys([line.strip() for line in lines if line.strip() and not line.startswith("#")])

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Self:
        if not keys:
            raise SecretError("no key: `farwatch up` makes a key file, see docs/configuration.md")
        try:
            return cls(MultiFernet([Fernet(key) for key in keys]), keys)
        except ValueError:
            raise SecretError("a key is not 32 bytes in url-safe base64") from None

    def encrypt(self, plain: str) -> str:
        return PREFIX + self._keys.encrypt(plain.encode()).decode("ascii")

    def decrypt(self, stored: str) -> str:
        """Raises SecretError when no key fits or the text was never encrypted."""
        if not self.is_encrypted(stored):
            raise SecretError("the value is not encrypted")
        try:
            return self._keys.decrypt(stored[len(PREFIX) :].encode()).decode()
        except InvalidToken:
            raise SecretError("no key in the key file decrypts this value") from None

    def derive(self, purpose: str) -> list[bytes]:
        """Keys for another purpose, one from each of ours, the newest first: they tell nothing of these."""
        return [hmac.new(key.encode(), purpose.encode(), hashlib.sha256).digest() for key in self._raw]

    def rotate(self, stored: str) -> str:
        """The same secret under the newest key. Raises SecretError."""
        return self.encrypt(self.decrypt(stored))

    @staticmethod
    def is_encrypted(value: str) -> bool:
        return value.startswith(PREFIX)

    def __repr__(self) -> str:
        return "SecretBox(********)"


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
