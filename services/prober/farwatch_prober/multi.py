"""libcurl's multi interface on the event loop, for very many short transfers.

The loop watches one epoll set, and libcurl's sockets come and go in that set: a watcher of the loop for each
socket and a timer for each change of libcurl's mind would cost as much as the transfers themselves.
"""

import asyncio
import select
from contextlib import suppress

import pycurl

EVENTS_A_TURN = 256
_INTEREST = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_SELECTED = [
    (pycurl.CSELECT_IN if mask & select.EPOLLIN else 0)
    | (pycurl.CSELECT_OUT if mask & select.EPOLLOUT else 0)
    | (pycurl.CSELECT_IN | pycurl.CSELECT_OUT if mask & _BROKEN else 0)
    for mask in range(32)
]
"""What libcurl is told for each set of epoll events; a broken socket is for reading and for writing."""


class Multi:
    """Bound to the loop that runs when it is made. `run` one transfer at a time for each handle."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._multi = pycurl.CurlMulti()
        self._epoll = select.epoll()
        self._watched: dict[int, int] = {}
        self._running: dict[pycurl.Curl, asyncio.Future[tuple[int, str]]] = {}
        self._is_soon = False
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    async def run(self, handle: pycurl.Curl) -> tuple[int, str]:
        """The code and the message of the transfer that the handle is set up for.

        Raises pycurl.error when it cannot be started. Cancelled, it lets go of the handle and its connection.
        """
        ended: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._running[handle] = ended
        try:
            self._multi.add_handle(handle)
            return await ended
        finally:
            if self._running.pop(handle, None) is not None:
                with suppress(pycurl.error):
                    self._multi.remove_handle(handle)

    def _on_socket(self, what: int, descriptor: int, multi: object, data: object) -> None:  # noqa: ARG002
        """A socket that libcurl is done with is about to be closed, which takes it out of the set."""
        interest = _INTEREST.get(what)
        if interest is None:
            self._watched.pop(descriptor, None)
            return
        before = self._watched.get(descriptor)
        if before != interest:
            self._watched[descriptor] = interest
            self._watch(descriptor, interest, is_known=before is not None)

    def _watch(self, descriptor: int, interest: int, *, is_known: bool) -> None:
        try:
            if is_known:
                self._epoll.modify(descriptor, interest)
            else:
                self._epoll.register(descriptor, interest)
        except FileNotFoundError:  # another socket of the same number meanwhile
            self._epoll.register(descriptor, interest)
        except FileExistsError:
            self._epoll.modify(descriptor, interest)

    def _on_ready(self) -> None:
        act, watched = self._multi.socket_action, self._watched
        for descriptor, mask in self._epoll.poll(0, EVENTS_A_TURN):
            if descriptor in watched:
                act(descriptor, _SELECTED[mask & 31])
            else:  # ended by an earlier one of this turn, or not closed after all
                with suppress(OSError):
                    self._epoll.unregister(descriptor)
        self._settle()

    def _on_timer(self, milliseconds: int) -> None:
        """A later time than before costs nothing: the timer that is set asks then, and is set anew."""
        if milliseconds == 0:
            self._due = 0.0
            if not self._is_soon:  # not at once: libcurl is not to be called from within its own call
                self._is_soon = True
                self._loop.call_soon(self._on_soon)
        elif milliseconds < 0:
            self._due = None
        else:
            self._due = self._loop.time() + milliseconds / 1000
            self._set_timer(self._due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._due is None or self._closed:
            return
        if self._due > self._loop.time():
            self._set_timer(self._due)
        else:
            self._act_on_time()

    def _on_soon(self) -> None:
        self._is_soon = False
        if not self._closed:
            self._act_on_time()

    def _act_on_time(self) -> None:
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._settle()

    def _settle(self) -> None:
        more = 1
        while more:
            more, good, bad = self._multi.info_read()
            for handle in good:
                self._end(handle, 0, "")
            for handle, code, message in bad:
                self._end(handle, code, message)

    def _end(self, handle: pycurl.Curl, code: int, message: str) -> None:
        ended = self._running.pop(handle, None)
        if ended is None:
            return
        self._multi.remove_handle(handle)
        if not ended.done():
            ended.set_result((code, message))

    async def close(self) -> None:
        """Ends what still runs as if it had been cancelled."""
        if self._closed:
            return
        self._closed = True
        for ended in self._running.values():
            ended.cancel()
        await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        for handle in list(self._running):
            with suppress(pycurl.error):
                self._multi.remove_handle(handle)
        self._multi.close()
        self._epoll.close()
