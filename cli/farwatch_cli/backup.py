"""`farwatch backup` and `restore`: one file with the database and the key that its secrets need.

What NATS holds can be rebuilt from the database, so it is not in the file.
"""

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncpg

from farwatch_cli import processes
from farwatch_cli.embedded.files import data_folder, private_folder, write_private
from farwatch_cli.embedded.postgres import DATABASE, PostgresServer, wheel_folder
from farwatch_cli.failures import Failure
from farwatch_cli.processes import StartError
from farwatch_cli.settings import UpSettings
from farwatch_runtime.settings import read_variable

_DUMP: Final = "database.dump"
_KEY: Final = "secret-key"
_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_START_SECONDS: Final = 60.0
_DUMP_SECONDS: Final = 3600.0
_SCRATCH: Final = "farwatch_roles"


class BackupFailure(Failure):
    """The backup was not written, or the data are as they were."""


def backup(settings: UpSettings, environ: Mapping[str, str], target: Path) -> None:
    """Writes the file, mode 0600, whole or not at all. Works beside a running `farwatch up` too."""
    folder = settings.data_dir.expanduser().absolute()
    with reach_database(folder, environ) as url, tempfile.TemporaryDirectory(prefix="farwatch-backup-") as scratch:
        dump = Path(scratch) / _DUMP
        _run_tool("pg_dump", ["--format=custom", "--no-owner", f"--file={dump}"], url)
        manifest = json.dumps({"format": _FORMAT, "made_at_seconds": int(time.time())})
        draft = target.with_name(target.name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, _MANIFEST, manifest.encode())
            _add(archive, _KEY, key_file(folder, environ).read_bytes())
            archive.add(dump, arcname=_DUMP)
        draft.replace(target)


def restore(settings: UpSettings, environ: Mapping[str, str], source: Path) -> None:
    """Replaces the database and the key of a data folder on which no `farwatch up` runs; raises BackupFailure."""
    folder = settings.data_dir.expanduser().absolute()
    if read_variable("FARWATCH_DATABASE_URL", environ) is not None:
        raise BackupFailure("restore works on a data folder; for a server of your own use pg_restore with the dump")
    lock = processes.try_lock(data_folder(folder) / "lock")
    if lock is None:
        raise BackupFailure(f"`farwatch up` runs on {folder}; stop it first")
    try:
        with tempfile.TemporaryDirectory(prefix="farwatch-restore-") as scratch:
            _unpack(source, Path(scratch))
            with own_server(folder) as server:
                asyncio.run(_make_room(server))
                dump = Path(scratch) / _DUMP
                _run_tool("pg_restore", ["--no-owner", "--exit-on-error", str(dump)], server.url())
            write_private(folder / _KEY, (Path(scratch) / _KEY).read_text())
            # streams of another life would meet offsets that know nothing of them
            shutil.rmtree(folder / "nats" / "store", ignore_errors=True)
    finally:
        os.close(lock)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(content))


def _unpack(source: Path, into: Path) -> None:
    """Takes the three known files and nothing else out of the archive."""
    try:
        with tarfile.open(source) as archive:
            for name in (_MANIFEST, _KEY, _DUMP):
                member = archive.extractfile(name)
                if member is None:
                    raise KeyError(name)
                with (into / name).open("wb") as file:
                    shutil.copyfileobj(member, file)
        manifest = json.loads((into / _MANIFEST).read_text())
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise BackupFailure(f"{source} is not a backup of Farwatch: {error}") from None
    if manifest.get("format") != _FORMAT:
        raise BackupFailure(f"{source} has format {manifest.get('format')}, this version reads {_FORMAT}")


def key_file(folder: Path, environ: Mapping[str, str]) -> Path:
    path = Path(environ.get("FARWATCH_SECRET_KEY_FILE") or folder / _KEY)
    if not path.is_file():
        raise BackupFailure(f"the key file {path} is missing: without it the secrets in a backup are lost")
    return path


@contextmanager
def reach_database(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of the database: the named one, the running one, or one started for the while."""
    named = read_variable("FARWATCH_DATABASE_URL", environ)
    if named is not None:
        yield named
        return
    if not (folder / "lock").exists():
        raise BackupFailure(f"there is no data of Farwatch in {folder}")
    lock = processes.try_lock(folder / "lock")
    if lock is None:
        yield PostgresServer(folder / "postgres").url()
        return
    try:
        with own_server(folder) as server:
            yield server.url()
    finally:
        os.close(lock)


@contextmanager
def own_server(folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder / "postgres")
    with (private_folder(folder / "logs") / "postgres.log").open("ab") as log:
        process = processes.start(server.prepare(), log.fileno())
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not asyncio.run(server.answers()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"PostgreSQL does not start; see {folder / 'logs' / 'postgres.log'}")
            time.sleep(0.05)
        asyncio.run(server.complete())
        yield server
    finally:
        processes.stop(process, signal.SIGINT, 10)


async def _make_room(server: PostgresServer) -> None:
    """An empty database, and the roles that the dump grants to, which a migration of another database makes."""
    from farwatch_store.migrate import migrate

    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(server.superuser_url(), timeout=10)
    try:
        await connection.execute(f"drop database if exists {_SCRATCH} with (force)")
        await connection.execute(f"create database {_SCRATCH} owner farwatch")
        await migrate(server.url(_SCRATCH))
        await connection.execute(f"drop database {_SCRATCH} with (force)")
        await connection.execute(f"drop database if exists {DATABASE} with (force)")
        await connection.execute(f"create database {DATABASE} owner farwatch")
    finally:
        await connection.close(timeout=5)


def _run_tool(name: str, arguments: list[str], url: str) -> None:
    """Runs a tool of the wheel. The password goes by the environment, where only its own account can read it."""
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    bare = url.replace(f":{parts.password}@", "@", 1) if parts.password else url
    program = str(wheel_folder() / "bin" / name)
    done = subprocess.run(
        [program, *arguments, f"--dbname={bare}"],
        env={"PATH": os.environ.get("PATH", ""), "PGPASSWORD": password},
        capture_output=True,
        text=True,
        timeout=_DUMP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BackupFailure(f"{name} failed: {' / '.join(done.stderr.strip().splitlines()[-3:])}")
