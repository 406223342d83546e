"""`farwatch rotate-key`: a new key for the secrets in the database, while everything runs."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from farwatch_cli.backup import key_file, reach_database
from farwatch_cli.failures import Failure
from farwatch_cli.settings import UpSettings
from farwatch_runtime.secrets import SecretBox, SecretError, add_key
from farwatch_store import Connection, Database

_TABLES: Final = (("monitors", "spec"), ("channels", "config"))
_BATCH: Final = 500


def rotate(settings: UpSettings, environ: Mapping[str, str]) -> str:
    """Adds a key in front of the file's and writes every secret anew under it; returns what to tell.

    Running services see the new file by themselves. The old keys stay: a check that is under way, a backup and a
    service on another machine may still need them.
    """
    folder = settings.data_dir.expanduser().absolute()
    path = key_file(folder, environ)
    try:
        add_key(path)
        box = SecretBox.from_file(path)
        with reach_database(folder, environ) as url:
            counts = asyncio.run(_rewrite_all(url, box))
    except SecretError as error:
        raise Failure(str(error)) from None
    done = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"New key in {path}. Secrets written anew: {done}. The old keys stay in the file."


async def _rewrite_all(url: str, box: SecretBox) -> dict[str, int]:
    db = await Database.connect(url, name="farwatch_rotate")
    try:
        return {table: await _rewrite(db, box, table, column) for table, column in _TABLES}
    finally:
        await db.close()


async def _rewrite(db: Database, box: SecretBox, table: str, column: str) -> int:
    """Row by row, each locked for a moment only."""
    changed, last = 0, 0
    while True:
        async with db.transaction() as connection:
            query = f"select id, {column} as data from config.{table} where id > $1 order by id limit $2 for update"  # noqa: S608 - both names are constants above
            rows = await connection.fetch(query, last, _BATCH)
            for row in rows:
                changed += await _rewrite_row(connection, box, table, column, row["id"], row["data"])
        if not rows:
            return changed
        last = rows[-1]["id"]


async def _rewrite_row(connection: Connection, box: SecretBox, table: str, column: str, row_id: int, data: Any) -> bool:
    anew = under_new_key(data, box)
    if anew == data:
        return False
    update = f"update config.{table} set {column} = $2 where id = $1"  # noqa: S608 - both names are constants above
    await connection.execute(update, row_id, anew)
    return True


def under_new_key(value: Any, box: SecretBox) -> Any:
    """The same JSON with every encrypted text in it encrypted anew, wherever it stands."""
    if isinstance(value, str):
        return box.encrypt(box.decrypt(value)) if box.is_encrypted(value) else value
    if isinstance(value, dict):
        return {name: under_new_key(item, box) for name, item in value.items()}
    return [under_new_key(item, box) for item in value] if isinstance(value, list) else value
