"""Several processes that serve one address, and the one that looks after them.

It forks them, passes on that they are to stop, and replaces those that die. It has no event loop and serves nothing.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from multiprocessing.process import parent_process
from types import FrameType
from typing import Final, TypeAlias

import attrs

from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe
from responses_transports.listeners import addresses_of, close_listeners, open_listeners

Work: TypeAlias = Callable[[Listen, int], None]
"""Serves in one process: where to listen, and a descriptor that can be read once the supervisor has ended."""

SETTLED_SECONDS: Final = 5.0
"""How long a worker has to live for its death not to count as one at once."""

_STOP: Final = (signal.SIGINT, signal.SIGTERM)
_MOST_DEATHS: Final = 5
_FIRST_DELAY: Final = 0.1

_log: Final = logging.getLogger("responses_stream")


@attrs.define(eq=False)
class _Worker:
    """One place among the workers, and the process that has it.

    Attributes:
        sockets: what it listens on. They stay open here, so that connections wait for the next process.
        process: the process; None while the next one waits to be begun.
        due: when the process was begun, or the next one is to be.
        deaths: how many in a row died at once.
    """

    sockets: list[socket.socket]
    process: ForkProcess | None = None
    due: float = 0.0
    deaths: int = 0


def supervise(listen: Listen, work: Work) -> None:
    """Have *work* done by as many processes as *listen* says, until SIGINT or SIGTERM; a second one ends all at once.

    Raises:
        CannotServe: processes cannot be forked here, they die as soon as they are begun, or one did not end in order.
        OSError: the address cannot be listened on.
    """
    if not hasattr(os, "fork"):
        raise CannotServe("this system cannot fork: serve with one worker")
    workers = [_Worker(sockets) for sockets in open_listeners(listen, listen.workers)]
    everything = {one for worker in workers for one in worker.sockets}
    _log.info("listening on %s, %d workers", addresses_of(workers[0].sockets, bool(listen.certfile)), listen.workers)
    supervisor = _Supervisor(listen, workers, work)
    try:
        again = supervisor.run()
    finally:
        supervisor.kill()
        close_listeners(listen, everything)
    if again is not None:
        signal.raise_signal(again)


class _Supervisor:
    """Looks after workers."""

    def __init__(self, listen: Listen, workers: list[_Worker], work: Work) -> None:
        self._listen, self._workers, self._work = listen, workers, work
        self._signals: list[int] = []
        self._woken, self._waker = socket.socketpair()
        self._stopping = False
        self._failure: str | None = None

    def run(self) -> int | None:
        """Supervise until all have ended; return the signal that asked for it a second time, if one did.

        Raises:
            CannotServe: they die as soon as they are begun, or one did not end in order.
        """
        before = {number: signal.signal(number, self._hear) for number in _STOP}
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        wake_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            while True:
                if len(self._signals) > 1:
                    return self._signals[1]
                if self._signals:
                    self._stop()
                self._look_after()
                live = [worker.process.sentinel for worker in self._workers if worker.process is not None]
                if self._stopping and not live:
                    break
                wait([*live, self._woken], self._patience())
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(64)
        finally:
            signal.set_wakeup_fd(wake_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._woken.close()
            self._waker.close()
        if self._failure is not None:
            raise CannotServe(self._failure)
        return None

    def kill(self) -> None:
        """End at once those that still live."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.join()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            close_listeners(self._listen, (one for worker in self._workers for one in worker.sockets))
            for worker in self._workers:
                if worker.process is not None:
                    worker.process.terminate()

    def _look_after(self) -> None:
        """See who has ended, and begin whom it is time to begin."""
        for worker in self._workers:
            if worker.process is not None and (status := worker.process.exitcode) is not None:
                self._bury(worker, status)
            if worker.process is None and not self._stopping and worker.due <= time.monotonic():
                self._begin(worker)

    def _bury(self, worker: _Worker, status: int) -> None:
        assert worker.process is not None
        pid, worker.process = worker.process.pid, None
        if self._stopping:
            if status != 0:
                self._failure = self._failure or f"worker {pid} did not end in order: its status is {status}"
            return
        now = time.monotonic()
        worker.deaths = worker.deaths + 1 if now - worker.due < SETTLED_SECONDS else 1
        _log.error("worker %d has ended by itself, with status %d", pid, status)
        if worker.deaths >= _MOST_DEATHS:
            self._failure = "the workers end as soon as they are begun; what they say above tells why"
            self._stop()
        worker.due = now + (_FIRST_DELAY * 2 ** (worker.deaths - 1) if worker.deaths > 1 else 0)

    def _patience(self) -> float | None:
        due = [worker.due for worker in self._workers if worker.process is None]
        return max(0.0, min(due) - time.monotonic()) if due and not self._stopping else None

    def _begin(self, worker: _Worker) -> None:
        process = multiprocessing.get_context("fork").Process(target=self._child, args=(worker,))
        # What comes before the child can hear it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        worker.process, worker.due = process, time.monotonic()

    def _child(self, worker: _Worker) -> None:
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._waker.close()
        # A terminal tells all of them; the supervisor passes it on.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        mine = set(worker.sockets)
        for other in self._workers:
            close_listeners(Listen(), (one for one in other.sockets if one not in mine))
        parent = parent_process()
        assert parent is not None
        place = Listen(
            sockets=worker.sockets, max_connections=self._listen.max_connections, access_log=self._listen.access_log
        )
        self._work(place, int(parent.sentinel))
