"""The servers that `farwatch up` starts, by themselves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from farwatch_cli.embedded.postgres import PostgresServer
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
