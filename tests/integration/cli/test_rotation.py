"""A new key while everything runs: nothing becomes unreadable, and nothing stays under the old key."""

import asyncio
from pathlib import Path

import pytest

from farwatch_cli import rotation
from farwatch_cli.failures import Failure
from farwatch_cli.settings import UpSettings
from farwatch_runtime.secrets import SecretBox, generate_key_file
from farwatch_store import Database


async def test_every_secret_is_written_anew_and_running_services_read_it(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret-key"
    generate_key_file(path)
    running = SecretBox.from_file(path)
    old_key = path.read_text().strip()
    config = {"url": "https://a.example/", "signing_secret": running.encrypt("s3"), "headers": {"X": "plain"}}
    spec = {"name": "m", "auth": {"password": running.encrypt("p4")}}
    channel = "insert into config.channels (name, type, config) values ('c', 'webhook', $1) returning id"
    monitor = "insert into config.monitors (name, type, spec) values ('m', 'http', $1) returning id"
    await database.pool.execute(channel, config)
    await database.pool.execute(monitor, spec)
    environ = {"FARWATCH_DATABASE_URL": database_url, "FARWATCH_SECRET_KEY_FILE": str(path)}
    said = await asyncio.to_thread(rotation.rotate, UpSettings.read(environ, data_dir=tmp_path), environ)

    assert "1 monitors, 1 channels" in said
    keys = path.read_text().split()
    assert keys[1:] == [old_key]
    assert path.stat().st_mode & 0o777 == 0o600
    newest = SecretBox.from_keys(keys[:1])
    stored = await database.pool.fetchval("select config from config.channels")
    assert newest.decrypt(stored["signing_secret"]) == "s3"
    assert (stored["url"], stored["headers"]) == ("https://a.example/", {"X": "plain"})
    kept = await database.pool.fetchval("select spec from config.monitors")
    assert running.decrypt(kept["auth"]["password"]) == "p4", "a box made before reads the new file"
    assert newest.decrypt(running.encrypt("x")) == "x"


async def test_without_a_key_file_nothing_is_touched(database_url: str, tmp_path: Path) -> None:
    environ = {"FARWATCH_DATABASE_URL": database_url, "FARWATCH_SECRET_KEY_FILE": str(tmp_path / "none")}
    with pytest.raises(Failure, match="is missing"):
        await asyncio.to_thread(rotation.rotate, UpSettings.read(environ, data_dir=tmp_path), environ)
