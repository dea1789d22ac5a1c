"""How a run ended, in the words of its operator: one outcome, and what is worth knowing of an end that was not good.

A client reads a status; an operator wants to know whether somebody is to be woken. So a client that has left is an
outcome of its own, and not a failure (pains.md C10), and a bad end tells what came last, what it ended with, and who
was the first to end it (I2).
"""

from __future__ import annotations

import enum
import re
from typing import Final, Literal, TypeAlias

import attrs

from responses_stream import lifecycle
from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.logs import safe
from responses_stream.hosting.run import Run
from responses_stream.protocol.request import given

Ender: TypeAlias = Literal["handler", "client", "server", "store"]
"""Who was the first to end a run."""

_RULE: Final = re.compile(r"\b[RHW]\d+(?:\.\d+)?\b")


class Outcome(enum.Enum):
    """How a request or a run ended."""

    COMPLETED = "completed"
    """The response is complete; of a request: it was answered, and read to its end."""
    FAILED = "failed"
    """The handler, the server or the store has failed."""
    INCOMPLETE = "incomplete"
    """The handler has said that the response stops before its end."""
    CANCELLED = "cancelled"
    """Somebody posted to the cancel endpoint, or the handler has said so."""
    CLIENT_GONE = "client_gone"
    """The client has left before the end (decision 13); nobody has failed."""
    REFUSED = "refused"
    """Nothing was run, because of what the request was, or because there was no room."""
    LOST = "lost"
    """The response was deleted, or another process has ended it."""


@attrs.frozen(kw_only=True)
class RunEnd:
    """The end of a run. What is not ours in here, such as the name of a model, can be printed, and is short.

    Attributes:
        outcome: how it ended.
        status: that of the response; None where none was created.
        ended_by: who was the first to end it.
        last_event: the type of the last event that the handler said; None where it said nothing.
        terminal: the type of the last event that a client may read; None where there is none.
        error: what went wrong where it failed: the type of an exception of the handler, or the code of the response.
        rule: the rule that the handler broke, where it broke one.
        events: how many there are to be read.
        bytes: how many bytes were said.
        seconds: from the request to the end of the handler.
        first_token: how many seconds after the request the first piece of output came; None where none did.
        model: the model that the response names.
        input_tokens: how many the handler has told of.
        output_tokens: likewise.
    """

    outcome: Outcome
    status: str | None
    ended_by: Ender
    last_event: str | None
    terminal: str | None
    error: str | None
    rule: str | None
    events: int
    bytes: int
    seconds: float
    first_token: float | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None


def end_of(run: Run, began: float, now: float) -> RunEnd:
    """Return how *run* ended, which was asked for when a monotonic clock showed *began*, and it shows *now*."""
    outcome, response, spoke = _outcome(run), run.transcript.said, run.transcript.spoke_at
    usage = given(response.usage) if response is not None else None
    return RunEnd(
        outcome=outcome,
        status=_safe(given(response.status)) if response is not None else None,
        ended_by=_ender(run.signal.cause),
        last_event=_safe(run.transcript.last_event),
        terminal=_terminal(run),
        error=safe(_error(run)) if outcome in (Outcome.FAILED, Outcome.REFUSED) else None,
        rule=rule_of(run.fault),
        events=run.log.shown,
        bytes=run.log.size,
        seconds=now - began,
        first_token=spoke - began if spoke is not None else None,
        model=_safe(given(response.model)) if response is not None else None,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
    )


def rule_of(error: BaseException | None) -> str | None:
    """Return the id of the rule that an error of ours names, if it does."""
    found = _RULE.search(str(getattr(error, "reason", "")))
    return found[0] if found else None


def _safe(text: str | None) -> str | None:
    return safe(text) if text else None


def _outcome(run: Run) -> Outcome:
    response = run.transcript.said
    if run.lost:
        return Outcome.LOST
    if run.refused is not None and run.refused.status == 409:
        return Outcome.REFUSED
    if run.signal.cause is Cause.CLIENT_GONE:
        return Outcome.CLIENT_GONE
    if run.signal.cause is Cause.CANCELLED:
        return Outcome.CANCELLED
    status = given(response.status) if response is not None else None
    return _OUTCOMES.get(str(status), Outcome.FAILED)


_OUTCOMES: Final = {
    outcome.value: outcome for outcome in (Outcome.COMPLETED, Outcome.INCOMPLETE, Outcome.CANCELLED, Outcome.FAILED)
}


def _ender(cause: Cause | None) -> Ender:
    if cause is None:
        return "handler"
    if cause.by_client:
        return "client"
    return "store" if cause is Cause.STORE_FAILED else "server"


def _terminal(run: Run) -> str | None:
    if run.lost or run.log.shown == 0:
        return None
    if run.log.shown == 1:
        return lifecycle.ERROR
    last = run.transcript.last_event
    return last if last in lifecycle.TERMINAL and not run.unsaved else "response.failed"


def _error(run: Run) -> str:
    if run.fault is not None:
        return type(run.fault).__qualname__
    response = run.transcript.said
    error = given(response.error) if response is not None else None
    if error is not None:
        return str(error.code)
    return run.refused.code if run.refused is not None else "server_error"
