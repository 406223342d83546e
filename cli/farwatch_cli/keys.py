"""Passwords and the NATS configuration for containers, a folder for each so that each can be handed only its own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from farwatch_cli.embedded import nats_config
from farwatch_cli.embedded.files import kept_secret
from farwatch_runtime.secrets import generate_key_file

DATABASE_USER: Final = "farwatch"
_HOLDS_SECRET_KEY: Final = ("api", "notifier", "prober")
_READABLE = 0o444


def write_keys(folder: Path, regions: Sequence[str], database_host: str) -> None:
    """Makes what is missing and keeps what is there, so that it can run before every start.

    Below `folder`: nats/nats.conf, postgres/password, migrate/database-url, and for each service nats-password,
    database-url (not for probers) and, where it decrypts or encrypts, secret-key. The probers of each region share
    prober/, where nats-password-<region> is the password of the user prober-<region>.
    """
    accounts = {user: kept_secret(_password_file(folder, user.name)) for user in nats_config.users(regions)}
    _share_secret_key(folder)
    password = kept_secret(_made(folder / "postgres") / "password")
    url = f"postgresql://{DATABASE_USER}:{quote(password, safe='')}@{database_host}/{DATABASE_USER}"
    for service in (*nats_config.SERVICES, "migrate"):
        _replace(_made(folder / service) / "database-url", url + "\n")
    config = nats_config.render(
        name="farwatch",
        listen="0.0.0.0:4222",
        http="127.0.0.1:8222",
        store_dir="/data",
        ports_dir="/tmp",  # noqa: S108 -- of the NATS container, which has no other writable place
        max_file_bytes=nats_config.store_bytes(regions),
        accounts=accounts,
    )
    _replace(_made(folder / "nats") / "nats.conf", config)
    for file in folder.glob("*/*"):
        # each folder is mounted into one container only, whose account is another than ours
        file.chmod(_READABLE)


def _password_file(folder: Path, user: str) -> Path:
    if user.startswith("prober-"):
        return _made(folder / "prober") / f"nats-password-{user.removeprefix('prober-')}"
    return _made(folder / user) / "nats-password"


def _share_secret_key(folder: Path) -> None:
    first = _made(folder / _HOLDS_SECRET_KEY[0]) / "secret-key"
    if not first.exists():
        generate_key_file(first)
    for service in _HOLDS_SECRET_KEY[1:]:
        _replace(_made(folder / service) / "secret-key", first.read_text())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.write_text(text)
    os.replace(draft, path)
