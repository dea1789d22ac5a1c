"""A replay against what is replayed, and a response against its copy elsewhere (R192, R193, R210, R212)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.differences import difference, remembered
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import index_of, word_of

_ENDS: Final = frozenset({"completed", "failed", "incomplete", "cancelled"})
_ENCRYPTED: Final = ("encrypted_content",)


class Original:
    """The stream that a replay repeats.

    Attributes:
        last: the number of its last event; None when it has none.
        finished: whether it ends with a terminal event.
    """

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events: dict[int, dict[str, Any]] = {}
        for event in events:
            number = index_of(event.get("sequence_number"))
            if number is not None:
                self._events[number] = event
        self.last = max(self._events, default=None)
        self.finished = any(event.get("type") in lifecycle.TERMINAL for event in events)

    def judge(self, event: dict[str, Any], findings: Findings) -> dict[str, Any]:
        """Say it where a replayed event is not the original of the same number (R192, R195); return the original.

        The stream goes on from what was said at first: what a changed event leads to is no further cause.
        """
        number = index_of(event.get("sequence_number"))
        original = self._events.get(number) if number is not None else None
        if original is None:
            return event
        found = difference(remembered(original), event)
        if found is None:
            return event
        where, seen, expected = found
        response = event.get("response")
        late = isinstance(response, Mapping) and (_has_ended(response) or bool(response.get("output")))
        if event.get("type") in (lifecycle.CREATED, lifecycle.IN_PROGRESS) and late:
            findings.say("R195", f"${where}", f"is {seen}", f"{expected}, as it was when the event was sent")
        else:
            findings.say("R192", f"${where}", f"is {seen}", f"{expected}, as event {number} was at first")
        return original


def judge_retrieved(
    retrieved: Mapping[str, Any],
    terminal: Mapping[str, Any] | None,
    request: Mapping[str, Any] | None,
    findings: Findings,
) -> None:
    """Judge the response that GET returned (R210, R212)."""
    asked = request.get("store") if request is not None else None
    store = asked if asked is not None else (terminal or {}).get("store")
    if store is False:
        findings.say("R212", "$.response.store", "is false, and GET returned the response", "404")
        return
    if terminal is None or not _has_ended(retrieved):
        return
    found = difference(remembered(terminal, _ENCRYPTED), retrieved, _ENCRYPTED)
    if found is not None:
        where, seen, expected = found
        findings.say("R210", f"$.response{where}", f"GET shows {seen}", f"{expected}, as the terminal event")


def _has_ended(response: Mapping[str, Any]) -> bool:
    return word_of(response.get("status")) in _ENDS
