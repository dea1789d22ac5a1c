"""A WebSocket connection: several responses behind one another, by lanes where there are some (R200-R207).

A transcript may hold the messages of the client too: they tell where a turn begins, and which request it answers.
Without them, a `response.created` behind a terminal event begins the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.judge import StreamJudge

_CREATE: Final = "response.create"
_STEER: Final = "response.steer"
_STEERED: Final = "response.steer."
_NOT_THERE: Final = ("stream", "stream_options", "background")

MakeJudge = Callable[[Mapping[str, Any] | None, bool], StreamJudge]
"""Makes the judge of a response from the request that it answers, and whether it is a further one."""


class Connection:
    """The responses of one connection, by lane."""

    def __init__(self, findings: Findings, make: MakeJudge, request: Mapping[str, Any] | None) -> None:
        self._findings, self._make = findings, make
        self._lanes: dict[str | None, StreamJudge] = {}
        # The requests that wait for their turn, by lane: a server answers them one after another.
        self._waiting: dict[str | None, deque[Mapping[str, Any]]] = {}
        self._client_seen = False
        if request is not None:
            self._ask(request)

    def terminal_of(self, response_id: object) -> dict[str, Any] | None:
        """Return how the response of that id ended; of each lane, the last one is known."""
        ends = (judge.terminal for judge in self._lanes.values() if judge.terminal is not None)
        return next((terminal for terminal in ends if terminal.get("id") == response_id), None)

    def take(self, event: dict[str, Any]) -> None:
        """Judge the next message."""
        findings, name, lane = self._findings, event.get("type"), _lane_of(event)
        if name == _CREATE:
            self._client_seen = True
            self._ask(event)
            return
        if name == _STEER:
            return
        if name == "error":
            self._judge_error(event)
        if self._waiting and lane not in self._waiting:
            known = " or ".join(sorted(map(shown, self._waiting)))
            expected = f"{known}, the lane of the request"
            findings.say("R204", "$.stream_id", f"is {shown(lane)}", expected, once=str(lane))
            lane = next(iter(self._waiting)) if len(self._waiting) == 1 else lane
        judge = self._lanes.get(lane)
        beside = name == "error" or (isinstance(name, str) and name.startswith(_STEERED))
        if judge is None or judge.ended:
            if name == "error" and self._waiting.get(lane):
                self._waiting[lane].popleft()  # that was the answer
            if beside:
                return
            if judge is not None and name != lifecycle.CREATED:
                findings.say("R201", "$.type", f"{shown(name)} after the end of the response", _CREATE, once=f"{lane}")
                return
            self._begin(lane)
        elif name == lifecycle.CREATED and judge.began:
            response = event.get("response")
            other = response.get("id") if isinstance(response, Mapping) else None
            if other != judge.copies.id:
                seen = f"{shown(other)} begins before {shown(judge.copies.id)} has ended"
                findings.say("R203", "$.response.id", seen, "one response at a time")
                self._begin(lane)
        self._lanes[lane].take(event)

    def finish(self) -> None:
        """Judge what only the end shows."""
        for judge in self._lanes.values():
            judge.finish()
        unanswered = self._client_seen and any(self._waiting.values())
        if unanswered and all(judge.ended for judge in self._lanes.values()):
            self._findings.say("R029", "$", "the connection ends before an answer", lifecycle.CREATED)

    def _ask(self, request: Mapping[str, Any]) -> None:
        self._waiting.setdefault(_lane_of(request), deque()).append(request)
        self._judge_create(request)

    def _begin(self, lane: str | None) -> None:
        waiting, further = self._waiting.get(lane), lane in self._lanes
        if further and self._client_seen and not waiting:
            self._findings.say("R201", "$.type", "a response that was not asked for", _CREATE, once=f"{lane}")
        self._lanes[lane] = self._make(waiting.popleft() if waiting else None, further)
        self._lanes[lane].numbers.of_connection = True

    def _judge_create(self, request: Mapping[str, Any]) -> None:
        """R205."""
        for member in _NOT_THERE:
            if member in request:
                self._findings.say("R205", f"$.{member}", f"is {shown(request[member])}", "it to be left out")

    def _judge_error(self, event: Mapping[str, Any]) -> None:
        """R207."""
        error, status = event.get("error"), event.get("status")
        if type(status) is not int:
            self._findings.say("R207", "$.status", f"is {shown(status)}", "an integer")
            return
        for member in ("code", "message"):
            value = error.get(member) if isinstance(error, Mapping) else None
            if not isinstance(value, str):
                self._findings.say("R207", f"$.error.{member}", f"is {shown(value)}", "a string")
                return


def _lane_of(message: Mapping[str, Any]) -> str | None:
    lane = message.get("stream_id")
    return lane if isinstance(lane, str) else None
