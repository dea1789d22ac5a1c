"""`assert_valid_response_stream`: fails a test with what is wrong with a stream, where, and what stands around it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterator
from typing import TYPE_CHECKING, Any, Final, overload

if TYPE_CHECKING:
    from responses_stream.pytest_plugin.transcript import Transcript
    from responses_stream.validation.profiles import Profile
    from responses_stream.validation.report import Report, Violation

SHOWN: Final = 5
"""How many violations a message tells in full."""


@overload
def assert_valid_response_stream(
    events: AsyncIterable[Any], profile: Profile = "strict", **settings: Any
) -> Awaitable[Report]: ...
@overload
def assert_valid_response_stream(events: object, profile: Profile = "strict", **settings: Any) -> Report: ...
def assert_valid_response_stream(
    events: object, profile: Profile = "strict", **settings: Any
) -> Report | Awaitable[Report]:
    """Assert that a stream breaks no rule that is an error in *profile*, and return the report, warnings and all.

    Args:
        events: whatever `responses_stream.validate_events` takes: typed events, dicts, objects of the `openai` package,
            SSE bytes or text cut anywhere, JSON lines, an iterable of these, a path, a file; also the response of a
            test client. With what can only be iterated with ``async for``, the call is to be awaited.
        profile: how strictly it is read.
        settings: the other settings of `validate_events`: ``request=``, ``ignore=``, ``starting_after=``...

    Raises:
        AssertionError: it is not valid. The message tells the rules, the places and the events around them.
    """
    __tracebackhide__ = True
    from responses_stream.pytest_plugin import transcript

    if transcript.is_async(events):
        return _assert_later(events, profile, settings)
    return judged(transcript.read(events, profile, settings))


async def _assert_later(events: AsyncIterable[object], profile: Profile, settings: dict[str, Any]) -> Report:
    __tracebackhide__ = True
    from responses_stream.pytest_plugin import transcript

    return judged(transcript.read([piece async for piece in events], profile, settings))


def judged(transcript: Transcript, what: str = "the response stream") -> Report:
    """Return the report of what was read.

    Raises:
        AssertionError: it is not valid.
    """
    __tracebackhide__ = True
    if not transcript.report.ok:
        raise AssertionError("\n".join(_told(transcript, what)))
    return transcript.report


def _told(transcript: Transcript, what: str) -> Iterator[str]:
    report = transcript.report
    errors = [found for found in report.violations if found.severity == "error"]
    warnings = len(report.violations) - len(errors)
    also = f", {_counted(warnings, 'warning')}" if warnings else ""
    head = f"{_counted(len(errors) or report.omitted, 'error')}{also} in {_counted(report.events, 'event')}"
    yield f"{what} is not valid in profile {report.profile}: {head}"
    if report.dialect is not None:
        yield f"it speaks another protocol: {report.dialect}"
    for violation in errors[:SHOWN]:
        yield ""
        yield from _violation(violation, transcript)
    more = len(errors) - SHOWN + report.omitted
    if more > 0:
        yield ""
        yield f"and {_counted(more, 'more error')}"


def _violation(violation: Violation, transcript: Transcript) -> Iterator[str]:
    from responses_stream.excerpts import excerpt
    from responses_stream.validation import RULES

    rule = RULES[violation.rule]
    yield f"{violation.rule} at {violation.position}: {rule.title}"
    place = "" if violation.path in ("", "$") else f"{violation.path}: "
    expected = f"{place}{violation.expected}" if violation.expected else ""
    yield from (
        f"  {line}"
        for line in excerpt(transcript.events, violation.index, seen=f"{place}{violation.message}", expected=expected)
    )
    yield f"  hint: {violation.hint}"
    clients: dict[str, list[str]] = {}
    for breakage in rule.clients:
        clients.setdefault(breakage.error, []).append(breakage.client)
    for error, names in clients.items():
        yield f"  breaks {', '.join(dict.fromkeys(names))}: {error}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
