"""The copies of the response in a repaired stream: whole, all of one response, and each with the status of its event.

What a copy lacks is taken from the one before, and at last from a response that nothing is known of. What belongs to
another status (an error in a response that completed) goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_shapes import fitted_response
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.ids import new_response_id
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation.structure import index_of, word_of

_USUAL: Final[Mapping[str, Any]] = MappingProxyType(to_builtins(ResponseObject(id="")))
# R053: what is always there, and what may be null.
_REQUIRED: Final = ("id", "object", "created_at", "model", "tools", "tool_choice", "parallel_tool_calls")
_NULLABLE: Final = ("error", "incomplete_details", "instructions", "metadata", "temperature")
_KEPT: Final = ("id", "created_at")
_RULES: Final = MappingProxyType({"id": "R042", "created_at": "R043", "object": "R044", "status": "R048"})
_STATUS: Final = MappingProxyType(
    {
        lifecycle.QUEUED: "queued",
        lifecycle.COMPLETED: "completed",
        lifecycle.FAILED: "failed",
        lifecycle.INCOMPLETE: "incomplete",
    }
)
_OF_ONE_STATUS: Final = MappingProxyType({"error": "R050", "incomplete_details": "R051", "completed_at": "R052"})
_DETAILS: Final = (
    ("input_tokens_details", "cached_tokens", "input_tokens"),
    ("output_tokens_details", "reasoning_tokens", "output_tokens"),
)
_COUNTS: Final = ("input_tokens", "output_tokens", "total_tokens")
_COUNTED_AS: Final = MappingProxyType(
    {
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        "prompt_tokens_details": "input_tokens_details",
        "completion_tokens_details": "output_tokens_details",
    }
)
# The reason of an end that nobody gave a reason for: the usual one.
_REASON: Final = "max_output_tokens"


class Copies:
    """Makes the copies of one response.

    Attributes:
        id: the id of the response; empty before the first copy.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.id = ""
        self._outlet = outlet
        self._last: Json = {}

    def made(
        self,
        name: str,
        response: Mapping[str, Any] | None,
        output: list[Any],
        *,
        told: tuple[str, str] | None = None,
        quiet: bool = False,
    ) -> Json:
        """Return the copy that an event *name* carries.

        Args:
            name: the event.
            response: the copy of the upstream; None where it sent none.
            output: the items of this copy.
            told: the code and the message of the error event before it.
            quiet: whether nothing of it is reported, because that it was missing is.
        """
        given = response or {}
        usage = given.get("usage")
        settled = counted(usage)
        if usage is not None:
            given = {**given, "usage": settled}
        # Where a copy was there before, what that did without is done without again (R047).
        known = {**_USUAL, **self._last}
        if not self.id:
            known["id"] = word_of(given.get("id")) or new_response_id()
        made, odd = fitted_response(given, known)
        report = not quiet and response is not None
        if odd and report:
            self._outlet.mend("R053" if odd[0].rpartition(".")[2] not in given else "R015", f"{odd[0]} was made to fit")
        lacks = [member for member in _REQUIRED if made.get(member) is None]
        due = {"error": "failed", "incomplete_details": "incomplete"}
        lacks += [one for one in _NULLABLE if one not in made and due.get(one) != _STATUS.get(name, "")]
        if not given:
            lacks += [member for member in self._last or _USUAL if member not in made]
        made |= {member: known[member] for member in lacks}
        missing = [member for member in dict.fromkeys(lacks) if member in _REQUIRED or member in _NULLABLE]
        if missing and report:
            self._outlet.mend("R053", f"{', '.join(missing)} of the response were filled in")
        self._pin(made, known, report=report)
        made["output"] = output
        if report and given.get("output") != output:
            rule = "R180" if name == lifecycle.COMPLETED else "R183" if name in lifecycle.TERMINAL else "R045"
            if not isinstance(given.get("output"), list):
                rule = "R015" if "output" in given else "R053"
            self._outlet.mend(rule, f"its output became the {len(output)} items that were said so far")
        self._settle_status(made, name, report=report)
        self._settle_end(made, told, report=report)
        if report and (settled != usage or _has_points(usage)):
            what = "was left out" if settled is None else "was made to add up"
            self._outlet.mend("R057", f"its usage {what}")
        self.id = str(made["id"])
        not_kept = ("output", "status", "usage", *_OF_ONE_STATUS)
        self._last |= {member: value for member, value in made.items() if member not in not_kept}
        return made

    def _pin(self, made: Json, known: Mapping[str, Any], *, report: bool) -> None:
        """R042-R044: what never changes."""
        fixed = {"object": "response"} | {member: self._last[member] for member in _KEPT if member in self._last}
        if not made["id"]:
            fixed["id"] = known["id"] or new_response_id()
        for member, value in fixed.items():
            if made[member] != value:
                made[member] = value
                if report:
                    self._outlet.mend(_RULES[member], f"its {member} became {value!r}")

    def _settle_status(self, made: Json, name: str, *, report: bool) -> None:
        status = made.get("status")
        if status in lifecycle.STATUS_SAID[name]:
            return
        made["status"] = _STATUS.get(name, "in_progress")
        if report:
            rule = "R048" if name in lifecycle.TERMINAL else "R040"
            self._outlet.mend(rule, f"its status became {made['status']!r}, as the event says")

    def _settle_end(self, made: Json, told: tuple[str, str] | None, *, report: bool) -> None:
        """R050-R052: what only one status has."""
        status, before = made["status"], {member: made.get(member) for member in _OF_ONE_STATUS}
        error, details = made.get("error"), made.get("incomplete_details")
        if status == "failed":
            fields = error if isinstance(error, dict) else {}
            code, message = told or (SERVER_ERROR, SERVER_ERROR_MESSAGE)
            if not (fields.get("code") and fields.get("message")):
                made["error"] = {
                    **fields,
                    "code": word_of(fields.get("code")) or code,
                    "message": word_of(fields.get("message")) or message,
                }
        elif error is not None:
            made["error"] = None
        if status == "incomplete":
            if not (isinstance(details, dict) and word_of(details.get("reason"))):
                made["incomplete_details"] = {"reason": _REASON}
        elif details is not None:
            made["incomplete_details"] = None
        at, since = made.get("completed_at"), made.get("created_at")
        if status == "completed":
            timely = isinstance(at, int | float) and not isinstance(at, bool)
            if not timely or (isinstance(since, int | float) and isinstance(at, int | float) and at < since):
                # The earliest that it can be: nobody told, and a clock of ours would tell when it was repaired.
                made["completed_at"] = since
        elif at is not None:
            made["completed_at"] = None
        for member, rule in _OF_ONE_STATUS.items():
            if report and made.get(member) != before[member]:
                self._outlet.mend(rule, f"its {member} became {_shown(made.get(member))}, with status {status!r}")


def counted(usage: object) -> Json | None:
    """Return a usage that adds up (R057, B1); None where it does not tell enough.

    Counts may come under the names of Chat Completions, and as numbers with a point.
    """
    if not isinstance(usage, dict):
        return None
    usage = {_COUNTED_AS.get(name, name): value for name, value in usage.items()} | {
        name: usage[name] for name in usage.keys() & set(_COUNTED_AS.values())
    }
    read, written, total = (_count(usage.get(name)) for name in _COUNTS)
    if read is None and total is not None and written is not None and total >= written:
        read = total - written
    if written is None and total is not None and read is not None and total >= read:
        written = total - read
    if read is None or written is None:
        return None
    made: Json = {**usage, "input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    for name, count, of in _DETAILS:
        if made.get(name) is None:
            continue
        given = made[name] if isinstance(made[name], dict) else {}
        details: Json = {count: 0, **given}
        for member, value in details.items():
            if member.endswith("_tokens"):
                details[member] = _count(value) or 0
        details[count] = min(details[count], made[of])
        made[name] = details
    return made


def _has_points(usage: object) -> bool:
    """Whether a count is a number with a point, which is equal to one that has none."""
    return isinstance(usage, dict) and any(isinstance(usage.get(name), float) for name in _COUNTS)


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, float) and value >= 0 and value.is_integer() else index_of(value)


def _shown(value: object) -> str:
    return "null" if value is None else "an object" if isinstance(value, dict) else repr(value)
