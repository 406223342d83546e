"""One compose project of our own name, brought up from deploy/ and taken down with its volumes."""

import os
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.support.up import clean_environment

DEPLOY = Path(__file__).parents[2] / "deploy"


class Compose:
    """`token` signs in to the API at `url`."""

    def __init__(self, project: str, port: int) -> None:
        self.project = project
        self.url = f"http://127.0.0.1:{port}"
        self.token = secrets.token_urlsafe(32)
        self._environ = clean_environment(FARWATCH_PORT=str(port), FARWATCH_API_TOKEN=self.token, FARWATCH_TAG=project)

    def __call__(self, *arguments: str, timeout_seconds: float = 120) -> str:
        """The standard output of `docker compose …`; an AssertionError with what it said when it fails."""
        return self._run(["docker", "compose", "-p", self.project, *arguments], timeout_seconds)

    def up(self, *options: str) -> None:
        self("up", "-d", "--no-build", "--wait", "--wait-timeout", "90", *options)

    def down(self) -> None:
        self("down", "-v", "--timeout", "10")
        self._run(["docker", "image", "rm", "-f", f"farwatch:{self.project}"], 60)

    def gateway(self) -> str:
        """The address at which probers reach this machine."""
        asked = "{{(index .IPAM.Config 0).Gateway}}"
        return self._run(["docker", "network", "inspect", f"{self.project}_outside", "-f", asked], 30).strip()

    def container(self, service: str) -> str:
        return self("ps", "-a", "-q", service).split()[0]

    def inspect(self, service: str, asked: str) -> str:
        return self._run(["docker", "inspect", self.container(service), "-f", asked], 30).strip()

    def kill(self, service: str) -> None:
        """SIGKILL from within the machine, as a crash is: `docker kill` would count as a stop on purpose."""
        os.kill(int(self.inspect(service, "{{.State.Pid}}")), 9)

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def _run(self, argv: Sequence[str], timeout_seconds: float) -> str:
        done = subprocess.run(
            argv, cwd=DEPLOY, env=self._environ, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        assert done.returncode == 0, (
            f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done.stdout
