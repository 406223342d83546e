"""A target in a thread of its own: the browser's driver has the main thread's event loop."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Target:
    """Answers 200 to everything, `status` when that is set, with `page` when there is one; keeps the bodies it was
    sent, by path."""

    def __init__(self) -> None:
        self.status = 200
        self.page: str | None = None
        self.received: list[tuple[str, str]] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                target.received.append((self.path, self.rfile.read(length).decode()))
                self.answer()

            def answer(self) -> None:
                body = b"all is well" if target.status == 200 else b"upstream went away"
                self.send_response(target.status)
                if target.page is not None:
                    body = target.page.encode()
                    self.send_header("Content-Type", "text/html")
                self.send_header("X-Cache", "HIT")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Nothing: the tests' output is for the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
