"""The servers that `farwatch up` starts, by themselves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from farwatch_cli.embedded.postgres import PostgresServer, server_account
from farwatch_cli.processes import StartError
from tests.support.servers import server_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder("embedded") as path:
        yield path


def test_a_database_whose_passwords_are_gone_is_neither_opened_nor_overwritten(folder: Path) -> None:
    server = PostgresServer(folder / "postgres")
    server.prepare()
    cluster = (folder / "postgres" / "home").resolve() if server.account else folder / "postgres"
    version = cluster / "data" / "PG_VERSION"
    server.prepare()
    (folder / "postgres" / "superuser-password").unlink()
    for _ in range(2):
        with pytest.raises(StartError, match=rf"mv {cluster} {cluster}\.old"):
            server.prepare()
    assert version.exists()
    shutil.move(cluster / "data", cluster / "data.old")
    server.prepare()
    assert version.exists()


@pytest.mark.skipif(server_account() is None, reason="only root has a database that lies elsewhere")
def test_a_database_that_lies_elsewhere_is_missed_where_it_was_and_made_where_there_was_none(folder: Path) -> None:
    server = PostgresServer(folder / "postgres")
    elsewhere = folder / "elsewhere"
    (folder / "postgres").mkdir()
    (folder / "postgres" / "home").symlink_to(elsewhere)
    server.prepare()
    assert (elsewhere / "data" / "PG_VERSION").exists()
    elsewhere.rename(folder / "gone")
    with pytest.raises(StartError, match=f"lies in {elsewhere}, which is not there"):
        server.prepare()
    assert not elsewhere.exists()
