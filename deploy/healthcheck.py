"""Container health check: exit 0 when http://127.0.0.1:<port>/healthz answers 200.

Run with `python -I -S`: it imports sockets only, since a check that loads the application costs seconds under load.
"""

import socket
import sys

TIMEOUT_SECONDS = 3.0


def is_healthy(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(int(sys.argv[1])) else 1)
