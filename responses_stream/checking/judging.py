"""From what was heard and what a client got to findings: each fault once, told where its author can see it.

What the handler said comes first. What a client gets is judged too; where the engine had to mend what the handler
said, only what is wrong with the mended stream itself is told of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from responses_stream.checking.answers import Answer, folded
from responses_stream.checking.asking import Mode
from responses_stream.checking.places import traceback_of
from responses_stream.checking.probes import OWN, Probe
from responses_stream.checking.report import Finding
from responses_stream.checking.watching import Heard, NobodyListens
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder
from responses_stream.excerpts import excerpt
from responses_stream.validation import RULES, Report, Rule
from responses_stream.validation.differences import difference

NOT_COMPARED: Final = frozenset(
    {"id", "item_id", "call_id", "response_id", "agent_session_id", "created_at", "completed_at", "background"}
)
"""The members that differ from one response to the next, or from one mode to the other."""

_STAMPED: Final = frozenset({"response_id", "agent_session_id", "agent_reference", "conversation"})
"""The members that the engine writes, whatever the handler says."""

_UNTOLD: Final = "the client sees a failure, and not why; to tell it, yield stream.emit_failed(code, message)"
_TOO_LATE: Final = "the client has its answer already, or has left; only the log will tell of this"
_MAKE_EVENTS: Final = "yield what the builders of context.stream() return; protocol.decode makes an event of JSON"


def heard_findings(heard: Heard) -> Iterator[Finding]:
    """Yield what is wrong with what the handler said."""
    violations = list(heard.violations)
    if heard.events and not heard.broke_off:
        # What only the end shows is the handler's fault only where the end is the handler's.
        violations += heard.validator.finish()
    last = len(heard.events) - 1
    if heard.refused is not None and not any(one.index == last and one.severity == "error" for one in violations):
        refused = _refused(heard, heard.refused, last)
        yield refused
        # What the profile lets pass with a warning, the engine does not.
        violations = [one for one in violations if (one.index, one.rule) != (last, refused.code)]
    for violation in violations:
        yield Finding.of(violation, "handler", excerpt(heard.events, violation.index))
    if heard.raised is not None:
        yield _raised(heard, heard.raised)
    if heard.started and not heard.events and not heard.broke_off:
        yield Finding(
            code="silent",
            severity="warning",
            where="handler",
            message="it said nothing; the engine answers with a completed response without output",
            hint="yield the events of context.stream(), or return a TextResponse",
        )


def _refused(heard: Heard, error: Exception, index: int) -> Finding:
    rule = _rule_of(error)
    return Finding(
        code="refused" if rule is None else rule.id,
        severity="error",
        where="handler",
        message=str(error) if isinstance(error, OutOfOrder) else f"{type(error).__name__}: {error}",
        hint="the engine does not send this event; the client sees that the response failed"
        if rule is None
        else rule.hint,
        index=index,
        excerpt=excerpt(heard.events, index),
        cause=str(heard.events[index].type),
    )


def _raised(heard: Heard, error: BaseException) -> Finding:
    if isinstance(error, InvalidType) and error.argument == "what the handler said":
        return Finding(
            code="not-an-event",
            severity="error",
            where="handler",
            message=f"it said a {error.got}; expected {error.expected}",
            hint=_MAKE_EVENTS,
            excerpt=_so_far(heard),
            cause=error.got,
        )
    if isinstance(error, NobodyListens):
        return Finding(
            code="endless",
            severity="error",
            where="handler",
            message=str(error),
            hint="end the response with a terminal event, and return",
            excerpt=_so_far(heard),
        )
    told, rule = traceback_of(error), _rule_of(error)
    cause = "".join(line for line in told.splitlines() if line.lstrip().startswith("File "))
    if isinstance(error, DecodeError | InvalidType | InvalidValue) and rule is None and not cause:
        # It was not raised in the handler, but where the engine read what that had said.
        return Finding(
            code="not-an-event",
            severity="error",
            where="handler",
            message=f"it said something that is no event: {error}",
            hint=_MAKE_EVENTS,
            excerpt=_so_far(heard),
            cause=str(error),
        )
    late = heard.told_all or heard.told_to_stop
    return Finding(
        code="raised" if rule is None else rule.id,
        severity="error",
        where="handler",
        message=f"{type(error).__name__}: {error}",
        hint=rule.hint if rule is not None else _TOO_LATE if late else _UNTOLD,
        excerpt=_so_far(heard),
        traceback=told,
        # The same line raises the same fault, whatever its message says of the input.
        cause=cause,
    )


def _rule_of(error: BaseException) -> Rule | None:
    """Return the rule that a refusal names, by a builder or by the engine; None where it names none, or several."""
    if not isinstance(error, OutOfOrder | InvalidValue):
        return None
    named = re.findall(r"R\d{3}", error.reason)
    return RULES.get(named[0]) if len(named) == 1 else None


def _so_far(heard: Heard) -> tuple[str, ...]:
    return excerpt(heard.events, len(heard.events), end="here")


def cancelled_itself(heard: Heard) -> Finding:
    """Return the finding of a handler that ends by a cancellation that nobody sent (H20.9)."""
    assert heard.stopped is not None
    return _raised(heard, heard.stopped)


def unanswered(heard: Heard, seconds: float, where: str) -> Finding:
    """Return the finding of a handler that did not come to its end in time; *where* is where it hangs."""
    return Finding(
        code="unanswered",
        severity="error",
        where="handler",
        message=f"no answer within {seconds:g} s",
        hint="give it more with the timeout, if that is what it needs",
        excerpt=_so_far(heard),
        traceback=_hanging(where),
        cause=where,
    )


def lingering(seconds: float, where: str) -> Finding:
    """Return the finding of a handler that has answered and does not end."""
    return Finding(
        code="lingering",
        severity="warning",
        where="handler",
        message=f"it still runs {seconds:g} s after its answer ended",
        hint="return after the terminal event; what takes longer belongs into a task of its own",
        traceback=_hanging(where),
        cause=where,
    )


def unstopped(seconds: float, where: str) -> Finding:
    """Return the finding of a handler that was told to stop, and then cancelled, and does not end."""
    return Finding(
        code="unstopped",
        severity="error",
        where="handler",
        message=f"it still runs {seconds:g} s after it was told to stop",
        hint="let the cancellation pass, and return when context.cancellation is set; a sync handler is never"
        " interrupted, so it looks at context.cancellation.is_set() between its steps",
        traceback=_hanging(where),
        cause=where,
    )


def blocking(heard: Heard, seconds: float, where: str) -> Finding:
    """Return the finding of an async handler that lets nobody else run."""
    return Finding(
        code="blocking",
        severity="error",
        where="handler",
        message=f"it keeps the event loop from running for more than {seconds:g} s; a server stands still meanwhile",
        hint="await what waits, or write the handler as a sync function, which runs in a thread of its own",
        excerpt=_so_far(heard),
        traceback=_hanging(where),
        cause=where,
    )


def _hanging(where: str) -> str:
    return f"It hangs here:\n{where}" if where else ""


def wire_findings(heard: Heard, answer: Answer, report: Report, told: Collection[Finding]) -> Iterator[Finding]:
    """Yield what is wrong with the stream that a client got, as *report* says it, and was not *told* of the handler."""
    known = {(finding.code, finding.index, finding.path) for finding in told}
    mended = math.inf if heard.told_all else len(heard.events) - (heard.refused is not None)
    for violation in report.violations:
        if (violation.rule, violation.index, violation.path) in known:
            continue
        if violation.index >= mended and violation.severity != "error":
            continue
        yield Finding.of(violation, "wire", excerpt(answer.events, violation.index))


def answer_findings(heard: Heard, answer: Answer, probe: Probe, mode: Mode) -> Iterator[Finding]:
    """Yield what is wrong with the answer beyond the events: its status, its form, and that it is what was said."""
    for trouble in answer.trouble:
        yield of_engine(trouble)
    if not heard.started:
        wanted = probe.trusted or probe.kind == OWN
        yield Finding(
            code="not-run",
            severity="error" if wanted else "warning",
            where="answer",
            message=f"the engine refused the request, so the handler was not run: {_reason(answer)}",
            hint="mend the request" if probe.kind == OWN else "the options of the server may be what refuses it",
            cause=probe.name,
        )
        return
    told = folded(heard.events) if heard.told_all else None
    if answer.status != 200:
        if told is not None:
            yield of_engine(f"the handler said a whole response, and the status is {answer.status}")
        return
    if answer.is_stream is not mode.streams and not (mode.stops and heard.told_to_stop):
        yield of_engine(f"the content type is {answer.content_type!r}")
        return
    if told is None or answer.response is None:
        return
    # What the handler left out the engine adds (decision 1), and so it does where there is no model.
    seen = {name: value for name, value in answer.response.items() if name in told and (name != "model" or told[name])}
    differing = difference({name: told[name] for name in seen}, seen, _STAMPED)
    if differing is not None:
        path, shown, expected = differing
        yield of_engine(f"{path.lstrip('.')} is {shown}, and the handler said {expected}")


def _reason(answer: Answer) -> str:
    details = [f"{one.get('param')}: {one.get('message')}" for one in answer.error.get("details") or ()]
    return "; ".join([f"{answer.status} {answer.error.get('message', '')}", *details])


def disagreement(first: Mapping[str, Any], second: Mapping[str, Any], mode: str, grave: bool) -> Finding | None:
    """Return how the answer *second* differs from *first*, which was given in *mode*; None where it does not."""
    found = difference(first, second, NOT_COMPARED)
    if found is None:
        return None
    path, seen, expected = found
    return Finding(
        code="disagrees",
        severity="error" if grave else "warning",
        where="answer",
        message=f"it is not the answer of mode {mode}: {path.lstrip('.')} is {seen} here, and {expected} there",
        hint="" if grave else "a model may differ from time to time; one that does not is checked as deterministic",
        path=f"${path}",
    )


def of_engine(message: str, told: str = "") -> Finding:
    """Return the finding of a fault that is not the handler's; *told* is a traceback, where there is one."""
    return Finding(
        code="engine",
        severity="error",
        where="answer",
        message=message,
        hint="this is a fault of responses-stream and not of the handler; please report it",
        traceback=told,
        cause=message,
    )
