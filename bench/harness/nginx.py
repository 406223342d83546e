"""A local target that costs little: nginx with one worker, a small page, and a new connection for every check."""

import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from farwatch_cli import processes
from farwatch_cli.embedded.files import free_port

PAGE_BYTES = 1024
_START_SECONDS = 10.0

_CONFIG = """\
daemon off;
user {user};
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off;
    keepalive_timeout 0;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        root {folder}/pages;
        default_type text/html;
    }}
    {secure}
}}
"""

_SECURE = """\
    server {{
        listen 127.0.0.1:{port} ssl backlog=8192;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_session_cache off;
        ssl_session_tickets off;
        root {folder}/pages;
        default_type text/html;
    }}
"""


class Nginx:
    """`url` answers 200 with a page of 1 KB once started. It ends with the process that started it.

    `certificates` are names to files of certificate and key; `secure_urls` gives the same page over TLS with each.
    """

    def __init__(self, folder: Path, certificates: Mapping[str, tuple[Path, Path]] | None = None) -> None:
        self._folder = folder
        self._certificates = dict(certificates or {})
        self._port, *secure_ports = _free_ports(1 + len(self._certificates))
        self._secure_ports = dict(zip(self._certificates, secure_ports, strict=True))
        self.port = self._port
        self.url = f"http://127.0.0.1:{self._port}/page.html"
        self.secure_urls = {name: f"https://127.0.0.1:{port}/page.html" for name, port in self._secure_ports.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            raise RuntimeError("nginx is not installed; name another target with --target")
        pages = self._folder / "pages"
        pages.mkdir(parents=True)
        (pages / "page.html").write_bytes(b"<!doctype html><title>ok</title>".ljust(PAGE_BYTES, b"."))
        config = self._folder / "nginx.conf"
        config.write_text(self._config())
        argv = [program, "-e", str(self._folder / "error.log"), "-p", str(self._folder), "-c", str(config)]
        with (self._folder / "output.log").open("ab") as output:
            command = processes.Command("nginx", argv, {}, self._folder, death_signal=signal.SIGTERM)
            self.process = processes.start(command, output.fileno())
        self._wait()

    def _config(self) -> str:
        secure = [
            _SECURE.format(
                folder=self._folder, port=self._secure_ports[name], certificate=certificate.resolve(), key=key.resolve()
            )
            for name, (certificate, key) in self._certificates.items()
        ]
        return _CONFIG.format(folder=self._folder, port=self._port, user="root", secure="".join(secure))

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, signal.SIGTERM, 5)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(self.url, timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.02)
        raise RuntimeError("nginx did not start:\n" + (self._folder / "error.log").read_text(errors="replace")[-2000:])


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)
