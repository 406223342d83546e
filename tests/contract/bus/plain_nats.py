"""A nats-server with whatever configuration a test wants, on one port for its whole life."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from farwatch_cli.embedded.nats import server_program


class PlainNats:
    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self._folder = folder
        self._config = config or {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        file = self._write()
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([str(server_program()), "-c", str(file)], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._listens():
            if time.monotonic() > deadline:
                raise RuntimeError((self._folder / "server.log").read_text()[-2000:])
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def reload(self, config: dict[str, Any]) -> None:
        assert self._process is not None
        self._config = config
        self._write()
        os.kill(self._process.pid, signal.SIGHUP)

    def _write(self) -> Path:
        file = self._folder / "server.conf"
        file.write_text(json.dumps({"listen": f"127.0.0.1:{self._port}", **self._config}))
        return file

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
