"""A TCP connection to the first of several addresses that answers (RFC 8305), with its errno when none does."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from farwatch_prober.readiness import Readiness, readiness

NEXT_ADDRESS_SECONDS = 0.2


class Connected(NamedTuple):
    address: str
    seconds: float


class DialFault(Exception):
    """No connection. `os_errno` of the first address that failed, ETIMEDOUT when time ran out."""

    def __init__(self, address: str, os_errno: int) -> None:
        super().__init__(address, os_errno)
        self.address = address
        self.os_errno = os_errno


async def dial(
    addresses: Sequence[str], port: int, timeout_seconds: float, source_address: str | None = None
) -> Connected:
    """Connects and closes again. Raises DialFault."""
    loop = asyncio.get_running_loop()  # a system call in Python 3.11, so once
    ready, until = readiness(loop), loop.time() + timeout_seconds
    try:
        if len(addresses) == 1:
            return await _dial_one(addresses[0], port, source_address, ready, until)
        async with asyncio.timeout_at(until):
            return await _dial_any(addresses, port, source_address, ready)
    except TimeoutError:
        raise DialFault(addresses[0], errno.ETIMEDOUT) from None


async def _dial_any(addresses: Sequence[str], port: int, source_address: str | None, ready: Readiness) -> Connected:
    running: set[asyncio.Task[Connected]] = set()
    waiting = list(addresses)
    first_fault: DialFault | None = None
    try:
        while running or waiting:
            if waiting:
                running.add(asyncio.create_task(_dial_one(waiting.pop(0), port, source_address, ready)))
            patience = NEXT_ADDRESS_SECONDS if waiting else None
            done, running = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                fault = task.exception()
                if fault is None:
                    return task.result()
                if not isinstance(fault, DialFault):
                    raise fault
                first_fault = first_fault or fault
    finally:
        for task in running:
            task.cancel()
    assert first_fault is not None
    raise first_fault


async def _dial_one(
    address: str, port: int, source_address: str | None, ready: Readiness, until: float | None = None
) -> Connected:
    """`until` is the loop's time. Raises TimeoutError after it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    started = time.perf_counter()
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            if source_address is not None:
                connection.bind((source_address, 0))
            connected_at = await _connect(connection, (address, port), ready, until)
    except TimeoutError as error:
        if error.errno is None:
            raise
        raise DialFault(address, error.errno) from None
    except OSError as error:
        raise DialFault(address, error.errno or 0) from None
    return Connected(address, connected_at - started)


async def _connect(connection: socket.socket, place: tuple[str, int], ready: Readiness, until: float | None) -> float:
    code = connection.connect_ex(place)
    connected_at = time.perf_counter()
    if code == errno.EINPROGRESS:
        connected_at = await ready.writable(connection.fileno(), until)
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    return connected_at
