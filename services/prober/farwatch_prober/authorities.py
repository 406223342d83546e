"""The certificate authorities that probes trust: the system's file, and FARWATCH_CA_FILE added to it."""

import os
import ssl
import tempfile
from pathlib import Path

_USUAL_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # BSD, macOS
)


class AuthoritiesError(ValueError):
    """One line for a person: which file cannot be used."""


def system_file() -> Path | None:
    """The system's bundle, None where it has none: then no certificate is trusted but FARWATCH_CA_FILE's."""
    default = ssl.get_default_verify_paths().cafile
    for place in (default, *_USUAL_PLACES):
        if place and Path(place).is_file():
            return Path(place)
    return None


class Authorities:
    """A *file* of all trusted roots, because libcurl parses a file once and a blob at every handshake."""

    def __init__(self, extra: Path | None) -> None:
        self._made: Path | None = None
        system = system_file()
        if extra is None:
            self.path = system
            return
        self.path = self._made = _merge(system, extra)

    def close(self) -> None:
        if self._made is not None:
            self._made.unlink(missing_ok=True)
            self._made = None


def require_authorities(path: Path) -> bytes:
    """The file's content. Raises AuthoritiesError when it holds no certificates."""
    try:
        content = path.read_bytes()
        ssl.create_default_context().load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AuthoritiesError(f"FARWATCH_CA_FILE names {path}, which cannot be used: {why}") from None
    return content


def _merge(system: Path | None, extra: Path) -> Path:
    added = require_authorities(extra)
    descriptor, name = tempfile.mkstemp(prefix="farwatch-ca-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as file:
        file.write((system.read_bytes() if system else b"") + b"\n" + added)
    return Path(name)
