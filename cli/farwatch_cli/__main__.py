"""The command `farwatch`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from farwatch_cli.settings import UpSettings, environment, read_option
from farwatch_runtime.settings import SettingsError

app = App(name="farwatch", help="Watches websites and services from many places and tells the right people.")


@app.command
def up(
    *,
    host: str | None = None,
    port: int | None = None,
    data_dir: Path | None = None,
    region: Annotated[list[str] | None, Parameter(negative="")] = None,
    probers: int | None = None,
    verbose: bool = False,
) -> int:
    """Start everything on this machine: servers, services and probers, until Ctrl-C.

    Options win over FARWATCH_ variables, and those over the file .env of the current folder.

    Parameters
    ----------
    host
        Address the dashboard and the API listen on (127.0.0.1).
    port
        Port they listen on (3000); 0 picks a free one.
    data_dir
        Folder of the data, keys and logs.
    region
        Region to probe from; repeat it to try several on one machine (local).
    probers
        Probers in each region (1).
    verbose
        Print the log lines of the services too.
    """
    from farwatch_cli import supervisor

    environ = environment(Path.cwd())
    settings = UpSettings.read(environ, host=host, port=port, data_dir=data_dir, region=region, probers=probers)
    return supervisor.up(settings, environ, verbose)


@app.command
def migrate() -> int:
    """Bring the database named by FARWATCH_DATABASE_URL to the schema of this version."""
    from farwatch_store.errors import StoreError
    from farwatch_store.migrate import migrate as bring_up_to_date

    url = read_option("FARWATCH_DATABASE_URL", environment(Path.cwd()))
    if url is None:
        raise SettingsError("FARWATCH_DATABASE_URL is not set: name the database to migrate.")
    try:
        revision = asyncio.run(bring_up_to_date(url))
    except StoreError as error:
        print(f"farwatch: {error}", file=sys.stderr)
        return 1
    print(f"The database is at revision {revision}.")
    return 0


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 a setting or an argument that the person can mend."""
    try:
        outcome = app(exit_on_error=False, print_error=True, result_action="return_value")
    except SettingsError as error:
        print(f"farwatch: {error}", file=sys.stderr)
        outcome = 2
    sys.exit(outcome if isinstance(outcome, int) else 0)


if __name__ == "__main__":
    main()
