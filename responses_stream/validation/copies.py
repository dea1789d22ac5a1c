"""The copies of the response that lifecycle events carry: their status, what stays the same, and how they end.

What a copy says of the items is judged elsewhere (`responses_stream.validation.outputs`); here it is the response
itself: R040-R057, and R211 and R213 where the request is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.errors import DecodeError, Problem
from responses_stream.protocol.codec import decode_as, to_builtins
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation.differences import difference, remembered, shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import index_of, misfits, word_of

_EARLY: Final = frozenset({lifecycle.CREATED, lifecycle.QUEUED, lifecycle.IN_PROGRESS})
# request-response.md section 3.2; None stands for the first copy.
_LEGAL: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "queued": frozenset({"queued", "in_progress", "failed", "cancelled"}),
        "in_progress": frozenset({"in_progress", "completed", "incomplete", "failed", "cancelled"}),
    }
)
_ECHOED: Final = (
    *("model", "instructions", "previous_response_id", "conversation", "metadata", "tools", "tool_choice"),
    *("parallel_tool_calls", "background", "store", "text", "truncation"),
)
_REQUESTED: Final = (
    *(echo for echo in _ECHOED if echo not in ("model", "previous_response_id", "conversation")),
    *("temperature", "top_p", "max_output_tokens", "max_tool_calls", "top_logprobs", "reasoning"),
    *("presence_penalty", "frequency_penalty", "safety_identifier", "prompt_cache_key", "user"),
)
# request-response.md section 3, column OAI: what is always there, and what may be null (R053).
_REQUIRED: Final = ("id", "object", "created_at", "model", "output", "tools", "tool_choice", "parallel_tool_calls")
_NULLABLE: Final = ("error", "incomplete_details", "instructions", "metadata", "temperature")
# W31: what Open Responses wants on top of these (R054).
_OPEN_REQUIRED: Final = (
    *("status", "truncation", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"),
    *("temperature", "metadata", "store", "background", "service_tier"),
)
_OPEN_NULLABLE: Final = (
    *("completed_at", "previous_response_id", "reasoning", "usage", "max_output_tokens", "max_tool_calls"),
    *("safety_identifier", "prompt_cache_key"),
)
# Rules of their own speak of these.
_RULED: Final = frozenset({"output", "usage", "error", "incomplete_details"})
_USUAL: Final = MappingProxyType(to_builtins(ResponseObject(id="")))
_TOP: Final = re.compile(r"[.\[]")
_DETAILS: Final = (("input_tokens_details", "cached_tokens"), ("output_tokens_details", "reasoning_tokens"))


class Copies:
    """The copies of one response, as far as they were seen.

    Attributes:
        status: the status of the last copy.
        max_tool_calls: how many calls of built-in tools the response allows, where it says so (R163).
        id: the id of the response.
    """

    __slots__ = (
        "_created_at",
        "_echo",
        "_findings",
        "_flagged",
        "_read",
        "_request",
        "_steered",
        "id",
        "max_tool_calls",
        "status",
    )

    def __init__(self, findings: Findings, request: Mapping[str, Any] | None = None) -> None:
        self._findings, self._request = findings, request
        self._echo: dict[str, Any] | None = None
        self._created_at: Any = None
        self._flagged = self._steered = False
        self._read: Mapping[str, Any] = _USUAL
        self.id: object = None
        self.status: object = None
        self.max_tool_calls: int | None = None

    def forget_status(self) -> None:
        """Take it that a copy was not seen, so that the status may have changed."""
        self.status = None

    def steered(self) -> None:
        """Note that the client's steering was accepted (R206)."""
        self._steered = True

    def judge(self, name: str, response: Mapping[str, Any], *, in_place: bool = True) -> None:
        """Judge the copy that an event *name* carries. *in_place*: the event stands where it may."""
        self._judge_members(response)
        odd = self._judge_types(response)
        sound = in_place and self._judge_status(name, response)
        self._judge_constants(response, odd)
        if sound:
            self._judge_end(response, odd)
        self._judge_usage(name, response)
        limit = response.get("max_tool_calls")
        if type(limit) is int:
            self.max_tool_calls = limit

    # Its members.

    def _judge_members(self, response: Mapping[str, Any]) -> None:
        findings = self._findings
        due = {"failed": "error", "incomplete": "incomplete_details"}.get(str(response.get("status")))
        for member in _REQUIRED:
            if response.get(member) is None:
                seen = "is null" if member in response else "is missing"
                findings.say("R053", f"$.response.{member}", seen, "a value", once=member)
        for member in _NULLABLE:
            if member not in response and member != due:  # R050 and R051 speak of that
                findings.say("R053", f"$.response.{member}", "is missing", "a value, or null", once=member)
        if findings.wanted("R054"):
            for member in _OPEN_REQUIRED:
                if response.get(member) is None:
                    findings.say("R054", f"$.response.{member}", "is null or missing", "a value", once=member)
            for member in _OPEN_NULLABLE:
                if member not in response:
                    findings.say("R054", f"$.response.{member}", "is missing", "a value, or null", once=member)

    def _judge_types(self, response: Mapping[str, Any]) -> set[str]:
        """R015, R066; return the members that are not of their type."""
        findings, kept = self._findings, dict(response)
        output = kept.get("output")
        if output is not None and not isinstance(output, list):
            findings.say("R015", "$.response.output", f"is {shown(output)}", "an array", once="output")
        for at, item in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(item, dict) or not isinstance(item.get("type"), str):
                path = f"$.response.output[{at}]"
                findings.say("R066", path, f"is {shown(item)}", "an object with a string type", once="output")
        # What was read before, or is usual, need not be read again.
        known = self._read
        for member, value in response.items():
            before = known.get(member)
            if member in _RULED or value is None or (type(before) is type(value) and before == value):
                del kept[member]
        if not kept:
            return set()
        odd: set[str] = set()
        for problem in misfits(kept, _misfits_of_response):
            member = _TOP.split(problem.path[2:], maxsplit=1)[0]
            if member not in odd:
                odd.add(member)
                # A member that a service writes its own way, it writes so in every copy.
                expected = problem.message.partition("expected ")[2].partition(", got ")[0]
                findings.say("R015", f"$.response{problem.path[1:]}", problem.message, expected, once=member)
        self._read = {**known, **{member: value for member, value in kept.items() if member not in odd}}
        return odd

    # Its status.

    def _judge_status(self, name: str, response: Mapping[str, Any]) -> bool:
        """R040, R041, R048, R049; return whether the status is what the event says."""
        findings, status = self._findings, response.get("status")
        before, flagged = self.status, self._flagged
        self.status, self._flagged = status, False
        path, seen = "$.response.status", f"is {shown(status)} in {name}"
        said = lifecycle.STATUS_SAID[name]
        if status is not None and not isinstance(status, str):
            self._flagged = True  # said with the types
            return False
        if status not in said:
            self._flagged = True
            if status is None and "status" not in response:
                findings.say("R053", path, "is missing", " or ".join(sorted(said)), once="status")
                return False
            # An illegal change is graver for readers than an odd word.
            changed = isinstance(before, str) and not flagged and status not in _LEGAL.get(before, ())
            if name in _EARLY and changed:
                findings.say("R041", path, f"{seen}, after {shown(before)}", " or ".join(sorted(said)))
            else:
                rule = "R040" if name in _EARLY else "R048"
                findings.say(rule, path, seen, " or ".join(sorted(said)))
            return False
        if status == "cancelled":
            findings.say("R049", path, seen, "'failed'")
        if isinstance(before, str) and not flagged and status not in _LEGAL.get(before, frozenset({before})):
            findings.say("R041", path, f"{seen}, after {shown(before)}", " or ".join(sorted(_LEGAL.get(before, ()))))
        return True

    # What stays.

    def _judge_constants(self, response: Mapping[str, Any], odd: Collection[str]) -> None:
        """R042-R044, R047, R211, R213."""
        findings = self._findings
        response = {member: value for member, value in response.items() if member not in odd} if odd else response
        created_at = response.get("created_at")
        if response.get("object", "response") not in ("response", None):
            findings.say("R044", "$.response.object", f"is {shown(response['object'])}", "'response'", once="object")
        if self._echo is None:
            self.id, self._created_at = response.get("id"), created_at
            self._echo = {member: remembered(response.get(member)) for member in _ECHOED}
            self._judge_request(response)
            return
        if response.get("id") != self.id and response.get("id") is not None and self.id is not None:
            findings.say(
                "R042", "$.response.id", f"is {shown(response['id'])}", f"{shown(self.id)}, as at first", once="id"
            )
        if created_at != self._created_at and created_at is not None and self._created_at is not None:
            seen, expected = f"is {shown(created_at)}", f"{shown(self._created_at)}, as at first"
            findings.say("R043", "$.response.created_at", seen, expected, once="created_at")
        if findings.wanted("R047"):
            for member, before in self._echo.items():
                if member not in response or before == response[member]:
                    continue
                found = difference(before, response[member])
                if found is not None:
                    path = f"$.response.{member}{found[0]}"
                    findings.say("R047", path, f"is {found[1]}", f"{found[2]}, as at first", once=member)

    def _judge_request(self, response: Mapping[str, Any]) -> None:
        request, findings = self._request, self._findings
        if request is None:
            return
        asked = request.get("previous_response_id")
        if asked and response.get("previous_response_id") != asked:
            seen = f"is {shown(response.get('previous_response_id'))}"
            findings.say("R213", "$.response.previous_response_id", seen, f"{shown(asked)}, as requested")
        if not findings.wanted("R211"):
            return
        for member in _REQUESTED:
            asked = request.get(member)
            if asked is None or member not in response:
                continue
            found = _unlike(remembered(asked), response[member])
            if found is not None:
                path = f"$.response.{member}{found[0]}"
                findings.say("R211", path, f"is {found[1]}", f"{found[2]}, as requested", once=member)
        asked = request.get("model")
        model = response.get("model")
        if isinstance(asked, str) and asked and isinstance(model, str) and not _resolves(asked, model):
            findings.say(
                "R211", "$.response.model", f"is {shown(model)}", f"{shown(asked)} or a dated name of it", once="model"
            )

    # How it ends.

    def _judge_end(self, response: Mapping[str, Any], odd: Collection[str]) -> None:
        """R050-R052, R206: what only one status has."""
        findings, status = self._findings, response.get("status")
        error, details = response.get("error"), response.get("incomplete_details")
        told = isinstance(error, Mapping) and all(
            isinstance(error.get(member), str) and error[member] for member in ("code", "message")
        )
        if (not told) if status == "failed" else (error is not None):
            seen = f"is {shown(error)} with status {shown(status)}"
            expected = "an object with code and message" if status == "failed" else "null"
            findings.say("R050", "$.response.error", seen, expected)
        reason = word_of(details.get("reason")) if isinstance(details, Mapping) else None
        if (not reason) if status == "incomplete" else (details is not None):
            seen = f"is {shown(details)} with status {shown(status)}"
            expected = "an object with reason" if status == "incomplete" else "null"
            findings.say("R051", "$.response.incomplete_details", seen, expected)
        if reason == "steered" and not self._steered:
            path = "$.response.incomplete_details.reason"
            findings.say("R206", path, "is 'steered' and no steering was accepted", "response.steer.accepted before it")
        at: Any = response.get("completed_at")
        since: Any = response.get("created_at")
        timely = _is_number(at) and (not _is_number(since) or at >= since)
        if "completed_at" not in odd and ((not timely) if status == "completed" else (at is not None)):
            seen = f"is {shown(at)} with status {shown(status)}"
            expected = "a time not before created_at" if status == "completed" else "null"
            findings.say("R052", "$.response.completed_at", seen, expected)

    def _judge_usage(self, name: str, response: Mapping[str, Any]) -> None:
        """R055-R057."""
        findings, usage, path = self._findings, response.get("usage"), "$.response.usage"
        if usage is None:
            if name in (lifecycle.COMPLETED, lifecycle.INCOMPLETE):
                findings.say("R056", path, "is null or missing", "an object")
            return
        if name in _EARLY:
            findings.say("R055", path, f"is {shown(usage)} before the end", "null", once="usage")
        if not isinstance(usage, Mapping):
            findings.say("R057", path, f"is {shown(usage)}", "an object")
            return
        for count in ("input_tokens", "output_tokens", "total_tokens"):
            if not _is_count(usage.get(count)):
                findings.say("R057", f"{path}.{count}", f"is {shown(usage.get(count))}", "an integer from 0")
                return
        for details, count in _DETAILS:
            held = usage.get(details)
            if held is None:
                continue
            counts = {count: None, **held} if isinstance(held, Mapping) else {count: None}
            of = usage["input_tokens" if details.startswith("input") else "output_tokens"]
            odd = next((name for name in counts if name.endswith("_tokens") and not _is_count(counts[name])), None)
            if odd is not None:
                findings.say("R057", f"{path}.{details}.{odd}", f"is {shown(counts[odd])}", "an integer from 0")
            elif counts[count] > of:
                findings.say("R057", f"{path}.{details}.{count}", f"is {counts[count]}", f"at most {of}")
        total = usage["input_tokens"] + usage["output_tokens"]
        if usage["total_tokens"] != total:
            findings.say("R057", f"{path}.total_tokens", f"is {usage['total_tokens']}", f"{total}, the sum")


def _misfits_of_response(response: Mapping[str, Any]) -> Sequence[Problem]:
    try:
        # The id and the output have to be there to be read at all.
        decode_as({"id": "", "output": [], **response}, ResponseObject, strict=True)
    except DecodeError as error:
        return error.problems or (Problem("$", error.reason),)
    return ()


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return index_of(value) is not None


def _resolves(asked: str, model: str) -> bool:
    """Whether *model* is what was asked for, or a dated or routed name of it."""
    asked, model = asked.lower().rpartition("/")[2], model.lower().rpartition("/")[2]
    return model.startswith(asked) or asked.startswith(model)


def _unlike(asked: Any, echo: Any, path: str = "") -> tuple[str, str, str] | None:
    """Return where an echo is not what was asked for; the echo may hold defaults that the request left out."""
    if isinstance(asked, dict) and isinstance(echo, Mapping):
        for key, value in asked.items():
            found = (
                _unlike(value, echo.get(key), f"{path}.{key}")
                if key in echo
                else (f"{path}.{key}", "absent", shown(value))
            )
            if found is not None:
                return found
        return None
    if isinstance(asked, list) and isinstance(echo, list) and len(asked) == len(echo):
        for at, (mine, theirs) in enumerate(zip(asked, echo, strict=True)):
            found = _unlike(mine, theirs, f"{path}[{at}]")
            if found is not None:
                return found
        return None
    if _is_number(asked) and _is_number(echo) and not isinstance(asked, bool):
        return None if asked == echo else (path, shown(echo), shown(asked))
    return difference(asked, echo, (), path)
