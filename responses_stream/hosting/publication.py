"""What a run has said, on its way into the store and to its readers.

Nothing is to be seen before the store has as much of it as the mode wants (decision 11, design section 6): the response
itself before its first event, each event of a background run before a client sees it, and every end. Where the store
does not take something, the response ends as failed, and says so.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Final

import anyio
import attrs

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.endings import STORAGE_ERROR, STORAGE_MESSAGE, End, error_frame, failed
from responses_stream.hosting.errors import HttpError, duplicate_id
from responses_stream.hosting.handlers import Stopped
from responses_stream.hosting.log import Log
from responses_stream.hosting.modes import Mode
from responses_stream.hosting.moments import Moment
from responses_stream.hosting.owner import Home
from responses_stream.hosting.recording import Record, ending_of, in_time
from responses_stream.hosting.recovery import Notebook
from responses_stream.hosting.transcript import Transcript
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import AlreadyStored, Ending, Fenced, NotStored

_log: Final = logging.getLogger("responses_stream")


@attrs.define(eq=False, kw_only=True)
class Publication(ABC):
    """The log of one response, and what becomes of it.

    Attributes:
        context: the response, and what was asked for.
        mode: what waits for what.
        log: what was said, for everybody who reads it.
        transcript: the same, as the protocol sees it.
        record: where it is kept; None where nothing is.
        keep_failed: whether a failed response keeps what was done (decision 10).
        notebook: what is noted for a run that goes on after this one; None where none will.
        begun: set when the handler has created the response, or never will.
        ended: set once the terminal event is there to be read, or none will come.
        refused: what a client that waits for JSON is told where there is no response to show.
        unsaved: whether the store has yet to be told how it ended.
        unsaved_end: that end, as its readers have seen it; None where they have seen none.
        lost: whether it is not ours any more: it was deleted, or another process has ended it.
        deleted: whether it is not there at all any more.
        left: whether it was left in progress, for a server to take up.
        cut: whether that is because this one ends, so that those who read it here have to go as well.
        whole: whether the log has its terminal event, as it was stored.
        home: where tasks can be started.
        saved: set when nothing more is handed to the store; None where events are shown at once.
        trouble: why the store did not take something.
    """

    context: ResponseContext
    mode: Mode
    log: Log
    transcript: Transcript
    record: Record | None
    keep_failed: bool = True
    notebook: Notebook | None = None
    begun: Moment = attrs.field(init=False, factory=Moment)
    ended: Moment = attrs.field(init=False, factory=Moment)
    refused: HttpError | None = attrs.field(init=False, default=None)
    unsaved: bool = attrs.field(init=False, default=False)
    unsaved_end: End | None = attrs.field(init=False, default=None)
    lost: bool = attrs.field(init=False, default=False)
    deleted: bool = attrs.field(init=False, default=False)
    left: bool = attrs.field(init=False, default=False)
    cut: bool = attrs.field(init=False, default=False)
    whole: bool = attrs.field(init=False, default=False)
    home: Home = attrs.field(init=False)
    saved: anyio.Event | None = attrs.field(init=False, default=None)
    trouble: Exception | None = attrs.field(init=False, default=None)
    _last: ResponseObject | None = attrs.field(init=False, default=None)

    def take_up(self) -> None:
        """Go on with a response that the store has already."""
        assert self.record is not None
        self.record.created = True
        self.begun.set()
        if self.record.with_events:
            self.saved = anyio.Event()
            self.home.start(self._save)

    async def leave_behind(self) -> None:
        """Say no more, and let somebody else go on: what was said is kept, and there is no end."""
        self.left = self.lost = True
        self.cut = self.home.shutdown.is_set()
        self.log.end()
        if self.saved is not None:
            with anyio.CancelScope(shield=True):
                await self.saved.wait()
        self.log.drop_hidden()
        self.over()

    @abstractmethod
    def stop(self, cause: Cause, grace: float) -> None:
        """Let nothing more be said, in *grace* seconds at the latest."""

    async def begin(self, frame: bytes) -> None:
        """Keep what was created, and then show it: nothing is to be seen before the store knows it (H2.14).

        Raises:
            Stopped: the store did not take it; nothing is left to be said.
        """
        if self.record is not None:
            said = self.transcript.said
            assert said is not None
            try:
                with in_time(self.home):
                    await self.record.create(said, self.transcript.json(said), [frame])
            except Exception as trouble:
                self._refuse(frame, trouble)
                raise Stopped from None
            self.transcript.forget()
        self.show([frame])
        if self.record is not None and self.record.with_events:
            self.saved = anyio.Event()
            self.home.start(self._save)

    def _refuse(self, frame: bytes, trouble: Exception) -> None:
        """What becomes of a response that the store never took (decision 11, H12.31 to H12.34)."""
        self.context.cancellation.set(Cause.STORE_FAILED)
        if isinstance(trouble, AlreadyStored):
            self.refused = duplicate_id()
        else:
            _log.error("the store did not take %s", self.context.response_id, exc_info=trouble)
            self.refused = storage_error()
        self.transcript.finished = True
        if self.mode.answers == "stream":
            if self.mode.background:
                self.show([error_frame(0, self.refused.code, self.refused.message)])
            else:
                self.show([frame])
                self.show(self.failure(self.refused.code, self.refused.message).frames)

    async def _save(self) -> None:
        """Hand the store what was said, all that is there at once, and show it when the store has it."""
        record, log = self.record, self.log
        assert record is not None
        assert self.saved is not None
        try:
            with anyio.CancelScope(shield=True):
                while True:
                    await log.added()
                    last, frames = self._last, log.hidden()
                    if not frames:
                        break
                    try:
                        with in_time(self.home):
                            await record.append(log.shown, frames, self._ending(last) if last is not None else None)
                    except Exception as trouble:
                        self.trouble = trouble
                        self.stop(Cause.STORE_FAILED, 0)
                        break
                    log.show(log.shown + len(frames))
                    if last is not None:
                        break
        finally:
            # The end of an asyncio loop cancels each task, whatever its shield; the run then keeps its end itself.
            self.saved.set()

    async def end(self, end: End) -> None:
        """Keep the end, and then show it: no terminal event is on the wire before the store has it (decision 11)."""
        self.transcript.close(end.response)
        self._add(end.frames)
        if self.record is None:
            self.log.show()
        else:
            with anyio.CancelScope(shield=True):
                if self.saved is not None:
                    self._last = end.response
                    await self.saved.wait()
                if self.trouble is None and self.log.hidden():
                    await self._keep(end.response)
        if self.trouble is not None:
            await self.give_up(self.trouble)
        else:
            self.whole = True
        self.over()

    async def _keep(self, ended: ResponseObject) -> None:
        """Hand the store the end, with what it has yet to be handed, and show it."""
        if self.record is not None and self.record.created:
            try:
                with in_time(self.home):
                    await self.record.append(self.log.shown, self.log.hidden(), self._ending(ended))
            except Exception as trouble:
                self.trouble = trouble
                return
        self.log.show()

    def _ending(self, ended: ResponseObject) -> Ending:
        return ending_of(ended, self.transcript.json(ended))

    async def give_up(self, trouble: Exception) -> None:
        """What comes of a response whose events, or whose end, the store did not take (decision 11)."""
        self.log.drop_hidden()
        if isinstance(trouble, NotStored | Fenced):
            # It was deleted, or ended by another. Who reads on asks the store, which knows better.
            _log.info("%s is not ours any more: %s", self.context.response_id, trouble)
            self.lost, self.deleted = True, isinstance(trouble, NotStored)
            self.refused = HttpError(404, "not_found", "The response was deleted.", param="response_id")
            return
        if self.context.is_resilient and not self.context.client_cancelled:
            # It will be made again, here or elsewhere: to say that it failed would contradict what is stored then.
            _log.error(
                "the store did not take what %s said; it is left in progress",
                self.context.response_id,
                exc_info=trouble,
            )
            await self.leave_behind()
            return
        _log.error("the store did not take the end of %s", self.context.response_id, exc_info=trouble)
        self.refused = storage_error()
        self.unsaved = True
        self.unsaved_end = end = self.failure(STORAGE_ERROR, STORAGE_MESSAGE)
        self.transcript.close(end.response)
        self.show(end.frames)

    def failure(self, code: str, message: str) -> End:
        """Return how the response ends that has failed for this reason, behind what the log holds."""
        said, progress, number = self.transcript.said, self.transcript.progress, self.log.length
        assert said is not None
        output = progress.done(before=number) if self.keep_failed else []
        # One that the store did not take was never told.
        told = self.transcript.told_at is not None and self.transcript.told_at < number
        return failed(said, number, code, message, output, told=told)

    def put(self, frame: bytes) -> bool:
        """Add a frame that may be seen as soon as the mode allows; tell whether the log is full."""
        return self.log.put(frame) if self.saved is None else self.log.add(frame)

    def _add(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.log.add(frame)

    def show(self, frames: list[bytes]) -> None:
        """Add frames that may be seen at once."""
        self._add(frames)
        self.log.show()

    def over(self) -> None:
        """Say that no more will come."""
        if self.notebook is not None:
            self.notebook.close()
        self.log.end()
        self.begun.set()
        self.ended.set()


def storage_error() -> HttpError:
    """Return the error of a response that could not be stored (decision 11)."""
    return HttpError(500, STORAGE_ERROR, STORAGE_MESSAGE, source="platform")
