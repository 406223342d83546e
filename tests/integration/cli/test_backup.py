"""`farwatch backup` and `restore` with a real cluster: what was in one data folder is in the other."""

import asyncio
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from farwatch_cli import processes
from farwatch_cli.backup import own_server
from farwatch_cli.embedded.files import write_private
from farwatch_cli.embedded.postgres import PostgresServer
from farwatch_runtime.secrets import SecretBox, generate_key_file
from farwatch_store.migrate import migrate
from tests.support.servers import server_folder
from tests.support.up import clean_environment

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder("backup") as path:
        yield path


def data_folder(folder: Path, name: str) -> Path:
    """A data folder as `farwatch up` leaves it: a migrated database with a row, a key, a lock file."""
    data = folder / name
    data.mkdir(mode=0o711)
    write_private(data / "lock", "")
    generate_key_file(data / "secret-key")

    async def fill(url: str) -> None:
        await migrate(url)
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url)
        await connection.execute("create table public.kept as select $$of " + name + "$$::text as note")
        await connection.close()

    with own_server(data) as server:
        asyncio.run(fill(server.url()))
    return data


def note(server: PostgresServer) -> str:
    async def read() -> str:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(server.url())
        found: str = await connection.fetchval("select note from public.kept")
        assert await connection.fetchval("select count(*) from log.events") == 0
        await connection.close()
        return found

    return asyncio.run(read())


def farwatch(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "farwatch_cli", *arguments]
    return subprocess.run(
        argv, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_what_was_backed_up_comes_back_elsewhere(folder: Path) -> None:
    first, second = data_folder(folder, "first"), data_folder(folder, "second")
    file = folder / "all.backup"
    done = farwatch("backup", str(file), "--data-dir", str(first), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        assert sorted(archive.getnames()) == ["database.dump", "manifest.json", "secret-key"]

    done = farwatch("restore", str(file), "--data-dir", str(second), cwd=folder)
    assert done.returncode == 0, done.stderr
    with own_server(second) as server:
        assert note(server) == "of first"
    secret = SecretBox.from_file(first / "secret-key").encrypt("hush")
    assert SecretBox.from_file(second / "secret-key").decrypt(secret) == "hush"


def test_it_restores_into_an_empty_folder(folder: Path) -> None:
    first = data_folder(folder, "first")
    file = folder / "all.backup"
    assert farwatch("backup", str(file), "--data-dir", str(first), cwd=folder).returncode == 0
    done = farwatch("restore", str(file), "--data-dir", str(folder / "fresh"), cwd=folder)
    assert done.returncode == 0, done.stderr
    with own_server(folder / "fresh") as server:
        assert note(server) == "of first"


def test_restore_leaves_a_folder_in_use_and_a_foreign_file_alone(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    lock = processes.try_lock(data / "lock")
    assert lock is not None
    (folder / "no.backup").write_text("not a backup")
    done = farwatch("restore", str(folder / "no.backup"), "--data-dir", str(data), cwd=folder)
    os.close(lock)
    assert done.returncode == 1
    assert "stop it first" in done.stderr
    done = farwatch("restore", str(folder / "no.backup"), "--data-dir", str(data), cwd=folder)
    assert done.returncode == 1
    assert "is not a backup of Farwatch" in done.stderr
    assert not (data / "postgres").exists()
