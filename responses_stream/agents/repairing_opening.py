"""An item as it is when it is added: what is streamed, and what only its end tells, is not there yet."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_report import Json
from responses_stream.validation.items import STRINGS, at

# R070: what is streamed is not there yet when an item is added.
_EMPTY_AT_FIRST: Final[Mapping[str, tuple[tuple[tuple[str, ...], Any], ...]]] = MappingProxyType(
    {
        **{kind: ((place, ""),) for kind, (_, place) in STRINGS.items()},
        "message": ((("content",), []),),
        "reasoning": ((("summary",), []), (("content",), [])),
        "shell_call": ((("action", "commands"), []),),
        "shell_call_output": ((("output",), []),),
    }
)
# What only a finished item knows; null until then.
_LATE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mcp_call": ("output", "error"),
        "image_generation_call": ("result",),
        "code_interpreter_call": ("outputs",),
        "file_search_call": ("results",),
    }
)
_LATE_BEGIN: Final = frozenset({"shell_call_output"})


def at_first(fields: Mapping[str, Any], kind: str, item_id: str, grammar: lifecycle.Grammar, *, added: bool) -> Json:
    """Return an item as it is added.

    Args:
        fields: what the upstream shows of it.
        kind: its type.
        item_id: its id.
        grammar: what may happen inside of it.
        added: whether the upstream has added it; else *fields* may show its end.
    """
    made: Json = {**fields, "type": kind, "id": item_id}
    _begin_status(made, kind, grammar)
    for place, empty in _EMPTY_AT_FIRST.get(kind, ()):
        if at(made, place):
            put(made, place, empty)
    if not added:
        made |= {member: None for member in _LATE.get(kind, ()) if made.get(member) is not None}
    return made


def _begin_status(made: Json, kind: str, grammar: lifecycle.Grammar) -> None:
    """R069, R077: in progress, where its type has a status and is not said in one piece."""
    known, status = grammar.statuses, made.get("status")
    if known is None:
        return
    if not known:
        made.pop("status", None)
    elif grammar.streams and kind not in _LATE_BEGIN:
        if "status" in made or kind != "reasoning":
            made["status"] = "in_progress"
    elif not isinstance(status, str) or status not in known:
        made["status"] = "in_progress" if "in_progress" in known else "completed"


def put(item: Json, place: tuple[str, ...], value: Any) -> None:
    """Set a member of an item; what leads to it is made anew, for the upstream's own objects stay as they are."""
    here = item
    for step in place[:-1]:
        inner = here.get(step)
        here[step] = dict(inner) if isinstance(inner, dict) else {}
        here = here[step]
    here[place[-1]] = value
