"""The command `farwatch`."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from farwatch_cli.failures import Failure, Mendable
from farwatch_cli.settings import UpSettings, environment, read_option
from farwatch_runtime.settings import SettingsError

if TYPE_CHECKING:
    from farwatch_cli.client import Client

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
        raise Failure(str(error)) from None
    print(f"The database is at revision {revision}.")
    return 0


@app.command
def rotate_key(*, data_dir: Path | None = None) -> int:
    """Encrypt the secrets of monitors and channels with a new key; works while Farwatch runs.

    Parameters
    ----------
    data_dir
        Folder of the data, as for `farwatch up`.
    """
    from farwatch_cli import rotation

    environ = environment(Path.cwd())
    print(rotation.rotate(UpSettings.read(environ, data_dir=data_dir), environ))
    return 0


@app.command
def monitors(*, state: str | None = None, search: str | None = None) -> int:
    """List monitors, worst first.

    Parameters
    ----------
    state
        Only those in this state: up, down, degraded, unknown, pending, paused, maintenance.
    search
        Only those whose name or address holds this.
    """
    from farwatch_cli import monitors as commands

    return commands.show(_client(), state, search)


@app.command
def check(monitor: str) -> int:
    """Check a monitor now from each of its regions; exit code 1 when a region sees it fail.

    Parameters
    ----------
    monitor
        Its id or its exact name.
    """
    from farwatch_cli import monitors as commands

    return commands.check_now(_client(), monitor)


@app.command
def apply(
    *,
    file: Annotated[Path, Parameter(name=["--file", "-f"], allow_leading_hyphen=True)],
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False,
    prune: Annotated[bool, Parameter(negative="")] = False,
    secrets: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make monitors as a YAML file has them. Shows the difference first; a second run changes nothing.

    Parameters
    ----------
    file
        The file, or - for the standard input.
    yes
        Change it without a question.
    prune
        Delete monitors that the file does not name.
    secrets
        Send secrets again although nothing else differs: the API never shows them, so they cannot be compared.
    """
    from farwatch_cli import monitors as commands

    return commands.apply(_client(), file, yes=yes, prune=prune, send_secrets=secrets)


@app.command
def export(*, file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None) -> int:
    """Write all monitors as a file for `farwatch apply`. Secrets stay out of it.

    Parameters
    ----------
    file
        Where to write; the standard output when left out.
    """
    from farwatch_cli import monitors as commands

    text = commands.export(_client())
    if file is None:
        print(text, end="")
    else:
        file.write_text(text, encoding="utf-8")
    return 0


@app.command
def demo(*, remove: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Add sample monitors on a local target that fails now and then, and serve that target until Ctrl-C.

    Parameters
    ----------
    remove
        Remove the sample monitors instead.
    """
    from farwatch_cli import demo as commands

    environ = environment(Path.cwd())
    if remove:
        return commands.remove(_client())
    return commands.run(_client(), UpSettings.read(environ).data_dir.expanduser())


@app.command
def backup(file: Path, *, data_dir: Path | None = None) -> int:
    """Write the database and its key into one file. Keep it as safe as a password.

    Parameters
    ----------
    file
        The file to write.
    data_dir
        Folder of the data.
    """
    from farwatch_cli import backup as commands

    environ = environment(Path.cwd())
    commands.backup(UpSettings.read(environ, data_dir=data_dir), environ, file)
    print(f"Written to {file}.")
    return 0


@app.command
def restore(file: Path, *, data_dir: Path | None = None) -> int:
    """Replace the data in the folder with those of a backup. `farwatch up` must not run on it.

    Parameters
    ----------
    file
        A file that `farwatch backup` wrote.
    data_dir
        Folder of the data.
    """
    from farwatch_cli import backup as commands

    environ = environment(Path.cwd())
    commands.restore(UpSettings.read(environ, data_dir=data_dir), environ, file)
    print(f"Restored from {file}.")
    return 0


@app.command
def rebuild(*, write: Annotated[bool, Parameter(negative="")] = False, data_dir: Path | None = None) -> int:
    """Make incidents, timelines and verdicts again from the log, and rollups from the results kept, and compare.

    Exit code 0 when the tables say the same, 1 when they differ. Compares beside a running Farwatch too.

    Parameters
    ----------
    write
        Take over what was rebuilt; the incidents service begins anew.
    data_dir
        Folder of the data.
    """
    from farwatch_cli import rebuilding

    environ = environment(Path.cwd())
    return rebuilding.rebuild(UpSettings.read(environ, data_dir=data_dir), environ, write=write)


@app.command
def keys(
    *,
    folder: Path,
    region: Annotated[list[str], Parameter(negative="")],
    database_host: str = "postgres:5432",
) -> int:
    """Make the passwords and the NATS configuration that containers need, and keep those that are there.

    Parameters
    ----------
    folder
        Where to write them: a folder for each service.
    region
        Region whose probers may connect; repeat it for several.
    database_host
        host:port of PostgreSQL as the services reach it.
    """
    from farwatch_cli.keys import write_keys

    try:
        write_keys(folder, region, database_host)
    except (OSError, ValueError) as error:
        raise Failure(f"the keys were not written: {error}") from None
    print(f"Keys are in {folder}.")
    return 0


def _client() -> "Client":
    from farwatch_cli.client import Client

    return Client.from_environment(environment(Path.cwd()))


def _fail(text: object, code: int) -> int:
    print(f"farwatch: {text}", file=sys.stderr)
    return code


def _run() -> object:
    """Exit codes: 0 done, 1 failed, 2 a setting or an argument that the person can mend."""
    try:
        return app(exit_on_error=False, print_error=False, result_action="return_value")
    except (Mendable, SettingsError, CycloptsError) as error:
        return _fail(str(error), 2)
    except Failure as error:
        return _fail(str(error), 1)


def main() -> None:
    outcome = _run()
    sys.exit(outcome if isinstance(outcome, int) else 0)


if __name__ == "__main__":
    main()
