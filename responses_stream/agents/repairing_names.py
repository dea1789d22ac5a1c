"""Which event it was: the name of one that has no name, or one that its members do not fit.

A name is doubted only where the members speak against it: they lack what the name stands for, and have what another
event is made of.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_shapes import EVENTS
from responses_stream.protocol.plans import plan_of
from responses_stream.validation.structure import word_of

_COUNTS: Final = frozenset({"content_index", "summary_index", "command_index"})
_ASIDE: Final = frozenset(
    {"type", "sequence_number", "item_id", "output_index", "stream_id", "obfuscation", "logprobs", "annotation_index"}
)
# What no event has by the way.
_TELLING: Final = frozenset({"delta", "part", "item", "response", "annotation"})
_VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "refusal": "refusal",
        "arguments": "function_call_arguments",
        "input": "custom_tool_call_input",
        "code": "code_interpreter_call_code",
        "diff": "apply_patch_call_operation_diff",
    }
)


def meant(name: str, response: Mapping[str, Any]) -> str:
    """Return the event that a copy of the response came with; its name and its status may disagree.

    The status wins where more than itself speaks for it: a completed response has a time, a failed one its error.
    """
    status = word_of(response.get("status"))
    if status is None or status in lifecycle.STATUS_SAID.get(name, ()):
        return name
    ended = bool(response.get("completed_at") or response.get("output") or response.get("usage"))
    if status == "failed" and isinstance(response.get("error"), dict):
        return lifecycle.FAILED
    if status == "incomplete" and isinstance(response.get("incomplete_details"), dict):
        return lifecycle.INCOMPLETE
    if status == "completed" and ended:
        return lifecycle.COMPLETED
    if status == "cancelled" and name not in (lifecycle.COMPLETED, lifecycle.INCOMPLETE):
        return lifecycle.FAILED
    if status in ("in_progress", "queued") and name in lifecycle.TERMINAL and not ended:
        told = response.get("error") or response.get("incomplete_details")
        return name if told else (lifecycle.IN_PROGRESS if status == "in_progress" else lifecycle.QUEUED)
    return name


@functools.cache
def _members(name: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return what an event says, what of it has to be there, and by what it counts."""
    members = plan_of(EVENTS[name]).members
    says = frozenset(members) - _ASIDE - _COUNTS
    return says, frozenset(one for one in says if members[one].required), frozenset(members) & _COUNTS


def is_misnamed(event: Mapping[str, Any], name: str) -> bool:
    """Whether an event cannot be what its name says."""
    says, needs, counts = _members(name)
    if name == lifecycle.ERROR:
        return not tells_error(event)
    foreign = (event.keys() & _TELLING) - says
    if foreign and not event.keys() & says:
        return True
    others = (event.keys() & _COUNTS) - counts
    return bool(counts and others and not event.keys() & counts) or bool(foreign and needs - event.keys())


def tells_error(event: Mapping[str, Any]) -> bool:
    """Whether an event can be one that tells an error."""
    if word_of(event.get("message")) is not None or event.get("error") is not None:
        return True
    return not event.keys() & {"item_id", "output_index", "response", "item", "part", "delta"}


def guessed(event: Mapping[str, Any], *, known: bool) -> str | None:
    """Return the type that an event must have by its members; None where they do not tell.

    *known*: the item that it shows was added.
    """
    response, part = event.get("response"), event.get("part")
    if isinstance(response, dict):
        return meant(lifecycle.IN_PROGRESS, response)
    if isinstance(event.get("item"), dict):
        return lifecycle.ITEM_DONE if known else lifecycle.ITEM_ADDED
    if isinstance(part, dict):
        whole = part.get("text") or part.get("refusal")
        if "summary_index" in event:
            return lifecycle.SUMMARY_DONE if whole else lifecycle.SUMMARY_ADDED
        return lifecycle.PART_DONE if whole else lifecycle.PART_ADDED
    if isinstance(event.get("error"), dict) or isinstance(event.get("message"), str):
        return lifecycle.ERROR
    if "annotation" in event:
        return "response.output_text.annotation.added"
    stem = _stem_of(event)
    if "delta" in event:
        return f"response.{stem or 'function_call_arguments'}.delta"
    if "command" in event:
        return f"response.shell_call_command.{'done' if event['command'] else 'added'}"
    named = next((stem for member, stem in _VALUES.items() if member in event), None)
    if named is not None:
        return f"response.{named}.done"
    return f"response.{stem}.done" if "text" in event and stem else None


def _stem_of(event: Mapping[str, Any]) -> str:
    """Return what the events of a text are called, by what counts them."""
    if "command_index" in event:
        printed = isinstance(event.get("delta"), dict) or "output" in event
        return "shell_call_output_content" if printed else "shell_call_command"
    if "summary_index" in event:
        return "reasoning_summary_text"
    return "output_text" if "content_index" in event else ""
