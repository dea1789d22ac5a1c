"""What a server looks after besides its own requests: its lease, what others ask of its runs, and what the dead left.

The store is attended in a loop, from before the first response on. A response that was in flight when its process died
is given its end here (pains.md E5), and so is one whose end the store did not take when it came.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from typing import Final

import anyio
import attrs

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.endings import (
    RESTARTED,
    RESTARTED_MESSAGE,
    STORAGE_ERROR,
    STORAGE_MESSAGE,
    End,
    cancelled,
    failed,
)
from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.owner import Home
from responses_stream.hosting.progress import progress_of
from responses_stream.hosting.recording import ending_of
from responses_stream.hosting.recovery import all_frames
from responses_stream.hosting.run import Run
from responses_stream.hosting.runs import Runs
from responses_stream.hosting.store_telemetry import StoreTelemetry, tell
from responses_stream.protocol.codec import decode_as, from_json
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Fenced, Key, Notices, NotStored, ResponseStore, StoredResponse

_log: Final = logging.getLogger("responses_stream")

_RETRY_SECONDS: Final = 1.0

_AT_ONCE: Final = 8
"""How many responses are seen to at the same time."""

_IN_TIME: Final = 0.75
"""By which part of the lease it has to be renewed; the rest is for the way to the store."""


@attrs.define(eq=False)
class Attendance:
    """Attends a store in the name of one owner.

    Attributes:
        store: the store.
        owner: the name by which this server owns what it writes.
        runs: those of this server.
        lease: for how many seconds its responses are safe from being taken over.
        grace: how many seconds a run has to stop when another process cancels it.
        keep_failed: whether a response that fails keeps what was done (decision 10).
        recover: makes a response again whose server has died, and tells whether it is seen to; False where it is to be
            ended. May raise whatever the store has trouble with.
        telemetry: who is told of the store; None where nobody is.
    """

    store: ResponseStore
    owner: str
    runs: Runs
    lease: float
    grace: float
    keep_failed: bool
    recover: Callable[[Key], Awaitable[bool]] | None = None
    telemetry: StoreTelemetry | None = None
    _left: dict[Key, None] = attrs.field(init=False, factory=dict)
    _postponed: dict[Key, None] = attrs.field(init=False, factory=dict)
    _scopes: list[anyio.CancelScope] = attrs.field(init=False, factory=list)
    _renewed: float | None = attrs.field(init=False, default=None)
    _renewed_at: float = attrs.field(init=False, default=0.0)
    _in_doubt: bool = attrs.field(init=False, default=False)
    _lenience: float = attrs.field(init=False, default=0.0)
    _lenient_until: float = attrs.field(init=False, default=-math.inf)
    _news: anyio.Event = attrs.field(init=False)

    async def begin(self, home: Home) -> None:
        """Take the lease, and see what is there; after that, go on in the background. Once for each event loop.

        Raises:
            Exception: whatever the store has trouble with; the next caller tries again.
        """
        if home.attended is not None:
            await home.attended.wait()
            return
        home.attended = anyio.Event()
        try:
            notices = await self._attend(0)
        except BaseException:
            home.attended.set()
            home.attended = None
            raise
        # In a context of its own: it outlives the request that happens to be the first, with its log and its trace.
        self._news = anyio.Event()
        self._take(notices)
        for work in (self._renew, self._see_to_all):
            scope = anyio.CancelScope()  # made here, because it may be cancelled before its task has begun
            self._scopes.append(scope)
            Context().run(home.tasks.start_soon, work, scope)
        home.attended.set()

    def end(self, home: Home) -> None:
        """Look after nothing any more. The store has to be released after that, which is for the caller to do."""
        for scope in self._scopes:
            scope.cancel()
        self._scopes.clear()
        home.attended = None
        self._renewed = None

    def lease_age(self) -> float | None:
        """Return how many seconds ago the lease was renewed, at the most; None where there is none."""
        renewed = self._renewed
        return None if renewed is None else time.monotonic() - renewed

    def count(self, outcome: str) -> None:
        """Tell of a response of somebody else that was seen to."""
        if self.telemetry is not None:
            tell(self.telemetry.taken_over, outcome)

    async def _attend(self, seconds: float) -> Notices:
        began, at = time.monotonic(), time.time()
        # Who was away may not have been the only one: the others are to be back before what they make is taken.
        grace = self._lenience if began < self._lenient_until else 0.0
        notices = await self.store.attend(self.owner, self.lease, seconds, grace=grace)
        # The lease runs from some moment of the call on: from its begin, at the earliest.
        self._renewed, self._renewed_at = began, at
        return notices

    async def _renew(self, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                try:
                    notices = await self._attend(0 if self._was_late() else self.lease / 3)
                except Exception:
                    _log.exception("the store cannot be attended; trying again")
                    notices = Notices()
                    await anyio.sleep(min(_RETRY_SECONDS, self.lease / 3))
                self._take(notices)

    def _was_late(self) -> bool:
        """Tell whether the lease may be over before it is renewed."""
        age = self.lease_age()
        if age is None:
            return False
        age = max(age, time.time() - self._renewed_at)  # that of the day goes on where a whole machine stands still
        if age <= self.lease * _IN_TIME:
            return False
        _log.warning("the lease was not renewed in time; other servers may have taken over what this one makes")
        self._in_doubt = True
        self._lenience, self._lenient_until = age + self.lease, time.monotonic() + self.lease
        return True

    def _take(self, notices: Notices) -> None:
        """Take note of what there is to see to."""
        for key in notices.cancelled:
            run = self.runs.get(key)
            if run is not None:
                run.stop(Cause.CANCELLED, self.grace)
        # One that a run of ours makes may be somebody else's meanwhile, and ours again: that is for `recover` to see.
        orphans = (key for key in notices.orphans if self.runs.get(key) is None or self.recover is not None)
        self._left.update(dict.fromkeys(orphans))
        self._news.set()

    async def _see_to_all(self, scope: anyio.CancelScope) -> None:
        """See to what there is, beside the lease: there may be thousands, and they must not cost us what is ours."""
        with scope:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                if self._in_doubt:
                    await self._disown()
                if not self.runs.full:
                    self._left.update(self._postponed)
                    self._postponed.clear()
                left = iter(tuple(self._left))
                async with anyio.create_task_group() as tasks:
                    for _ in range(min(_AT_ONCE, len(self._left))):
                        tasks.start_soon(self._see_to_each, left)
                for key, run in self.runs.unsaved():
                    if await self._end(key, STORAGE_ERROR, STORAGE_MESSAGE, run):
                        run.unsaved = False
                        self.runs.remove(key)

    async def _see_to_each(self, left: Iterator[Key]) -> None:
        for key in left:
            try:
                is_over = await self._recovered(key) or await self._end(key, RESTARTED, RESTARTED_MESSAGE)
            except HttpError as refused:
                _log.info("%s is made again later: %s", key.response_id, refused)
                self._postponed[key] = None
                is_over = True
            except Exception:
                _log.exception("%s could not be made again; trying again", key.response_id)
                continue
            if is_over:
                self._left.pop(key, None)

    async def _disown(self) -> None:
        """Stop the runs whose responses were taken over; one that says nothing would never hear of it."""
        try:
            for key, run in self.runs.stored():
                try:
                    stored = await self.store.get(key)
                except NotStored as error:
                    run.disown(error)
                else:
                    if stored.ended or stored.owner != self.owner:
                        run.disown(Fenced(key, "another server has taken it over"))
        except Exception:
            _log.exception("the store does not tell whose responses are; trying again")
            return
        self._in_doubt = False

    def leave(self, key: Key) -> None:
        """Take up a response of ours again that its handler has left to be made once more."""
        self._left[key] = None

    async def _recovered(self, key: Key) -> bool:
        try:
            return self.recover is not None and await self.recover(key)
        except (NotStored, Fenced) as error:
            _log.info("%s needs no recovery any more: %s", key.response_id, error)
            return True

    async def _end(self, key: Key, code: str, message: str, run: Run | None = None) -> bool:
        """Give a response its end, that of its *run* where it has one of ours; tell whether it has one now."""
        try:
            stored = await self.store.get(key)
            if not stored.ended:
                end = run.unsaved_end if run is not None else None
                # What is read later is what was read before; an append that failed may have been half a success.
                number = stored.last_number + 1
                if run is None or end is None or number not in (0, run.log.length - len(end.frames)):
                    end = await self._end_of(key, stored, code, message)
                # Where no events were kept, there is no log that could go on.
                await self.store.append(key, self.owner, number, end.frames if number else (), ending_of(end.response))
                _log.warning("%s was in flight and ends as failed: %s", key.response_id, code)
                if run is None:
                    self.count(str(end.response.status))
        except (NotStored, Fenced) as error:
            _log.info("%s needs no end any more: %s", key.response_id, error)
        except Exception:
            _log.exception("%s could not be given an end; trying again", key.response_id)
            return False
        return True

    async def _end_of(self, key: Key, stored: StoredResponse, code: str, message: str) -> End:
        """Return how a response ends that nobody makes any more: failed, or cancelled where somebody asked for that.

        Raises:
            NotStored: it was deleted.
            Exception: whatever the store has trouble with.
        """
        progress = progress_of(await all_frames(self.store, key))
        said = progress.said or decode_as(from_json(stored.response), ResponseObject)
        number = stored.last_number + 1
        if stored.cancelling:
            return cancelled(said, number)
        return failed(said, number, code, message, progress.done() if self.keep_failed else [])
