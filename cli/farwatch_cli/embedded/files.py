"""Secrets, ports and folders that a data folder keeps from one start to the next."""

import os
import random
import secrets
import socket
from pathlib import Path
from typing import Final

# Below the range the kernel hands to outgoing connections: a prober opens thousands of them, and one that held our
# port would keep a restarted server from taking it again.
_PORTS: Final = range(20_000, 32_000)
_PORT_TRIES: Final = 50


def private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def data_folder(path: Path) -> Path:
    """The folder of a whole Farwatch. Root's can be passed through, since PostgreSQL runs as another account in it."""
    private_folder(path)
    if os.geteuid() == 0:
        path.chmod(0o711)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file only its owner can read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def kept_secret(path: Path) -> str:
    """The secret in this file, made at the first call."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


def kept_port(path: Path) -> int:
    """The port in this file while it is free, else a new one, written there."""
    if path.exists() and _is_free(port := int(path.read_text() or 0)):
        return port
    port = free_port()
    write_private(path, f"{port}\n")
    return port


def free_port() -> int:
    for _ in range(_PORT_TRIES):
        if _is_free(port := random.choice(_PORTS)):
            return port
    raise OSError(f"no free port found between {_PORTS.start} and {_PORTS.stop}")


def _is_free(port: int) -> bool:
    """By TCP and by UDP: the demo's target speaks both."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                return False
    return True
