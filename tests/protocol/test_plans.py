"""How types are read follows from their hints alone, and every type keeps the rules that reading relies on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from responses_stream.protocol import (
    base,
    events,
    hosted_items,
    items,
    machine_items,
    parts,
    platform_items,
    request,
    response,
    tool_events,
    tools,
)
from responses_stream.protocol.base import EXTRA_KEY, Unknown, UnknownObject, Wire
from responses_stream.protocol.plans import branches_of, plan_of, tags_of

MODULES: Final = (
    base,
    parts,
    tools,
    hosted_items,
    machine_items,
    platform_items,
    items,
    response,
    request,
    tool_events,
    events,
)

TYPES: Final = [
    kind
    for module in MODULES
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Wire) and kind.__module__ == module.__name__
]

UNIONS: Final[dict[str, Any]] = {
    "events": events.ResponseStreamEvent,
    "output items": items.OutputItem,
    "input items": items.InputItem,
    "parts": parts.ContentPart,
    "annotations": parts.TextAnnotation,
    "tools": tools.ToolDefinition,
    "tool choice": tools.ToolChoice,
    "text format": tools.TextFormat,
    "caller": hosted_items.Caller,
    "web search action": hosted_items.WebSearchAction,
    "code interpreter output": hosted_items.CodeInterpreterOutput,
    "mcp error": hosted_items.McpCallError,
    "computer action": machine_items.ComputerAction,
    "shell environment": machine_items.ShellEnvironment,
    "shell outcome": machine_items.ShellOutcome,
    "patch operation": machine_items.PatchOperation,
}


def members() -> Iterator[tuple[str, msgspec.structs.FieldInfo, Any]]:
    """Yield every member of every wire type, as ``Type.member``."""
    for kind in TYPES:
        for field in msgspec.structs.fields(kind):
            if field.encode_name != EXTRA_KEY:
                yield f"{kind.__name__}.{field.name}", field, plan_of(kind).members[field.encode_name]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_wire_type_is_frozen_tells_what_it_is_and_has_room_for_extra(kind: type[Wire]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields
    assert kind.__doc__
    assert EXTRA_KEY in kind.__struct_encode_fields__


@pytest.mark.parametrize("name", UNIONS)
def test_every_union_is_open_and_names_each_type_once(name: str) -> None:
    branches = branches_of(UNIONS[name])
    assert branches.unknown is not None
    assert issubclass(branches.unknown, Unknown)
    tagged = [kind for kind in get_args(UNIONS[name]) if isinstance(kind, type) and issubclass(kind, Wire)]
    names = [kind.__struct_config__.tag for kind in tagged if kind.__struct_config__.tag is not None]
    assert len(names) == len(set(names))
    assert set(names) <= set(branches.known)


def test_every_member_that_may_be_absent_can_be_unset_but_the_output_of_a_response() -> None:
    # What is absent on the wire has to stay absent; for `output`, which is always a list, the codec sees to it.
    assert {name for name, _, member in members() if member.listed} == {"ResponseObject.output"}
    for name, field, member in members():
        assert field.required or member.unset or member.listed or field.default is UNSET, name


def test_no_member_is_called_like_the_discriminator_but_where_it_is_one() -> None:
    plain = {name for name, field, _ in members() if field.encode_name == "type"}
    tagged = {name for name, field, _ in members() if field.encode_name == "type" and _tag(name) is not None}
    assert tagged == set()
    assert {name.partition(".")[0] for name in plain} == {
        "AgentReference",
        "ContextManagement",
        "ErrorPayload",
        "ImageGenerationError",
        "InputMessage",
        "ItemReference",
        "ResponseError",
        "ToolChoiceTypes",
        "Unknown",
        "UnknownAnnotation",
        "UnknownEvent",
        "UnknownItem",
        "UnknownObject",
        "UnknownPart",
        "UnknownTool",
        "UserLocation",
    }


def _tag(name: str) -> object:
    return next(kind for kind in TYPES if kind.__name__ == name.partition(".")[0]).__struct_config__.tag


def test_names_in_python_are_those_of_the_wire_but_where_python_forbids() -> None:
    other = {name: field.encode_name for name, field, _ in members() if field.name != field.encode_name}
    assert {name.rpartition(".")[2]: wire for name, wire in other.items()} == {
        "is_async": "async",
        "additional_info": "additionalInfo",
        "debug_info": "debugInfo",
    }


def test_the_sequence_number_comes_right_after_the_type() -> None:
    for kind in tags_of(events.ResponseStreamEvent).values():
        assert kind.__struct_encode_fields__[0] == "sequence_number"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, "string"),
        (int, "integer"),
        (int | float, "number"),
        (bool | None, "boolean or null"),
        (str | UnsetType, "string"),
        (list[str], "array"),
        (dict[str, str] | None, "object or null"),
        (Literal["a", "b"], "one of 'a', 'b'"),
        (str | list[parts.ContentPart], "array or string"),
        (tools.ToolChoice, "object or string"),
        (list[dict[str, Any]], "array"),
        (parts.Logprob | None, "object or null"),
    ],
    ids=str,
)
def test_what_is_expected_is_said_in_the_words_of_json(hint: Any, expected: str) -> None:
    assert branches_of(hint).expected == expected


def test_an_object_is_read_by_its_type_or_as_the_only_struct_that_there_is() -> None:
    choice = branches_of(tools.ToolChoice)
    assert choice.known["function"] is tools.ToolChoiceFunction
    assert choice.known["shell"] is choice.known["file_search"] is tools.ToolChoiceTypes
    assert choice.single is None
    assert choice.unknown is UnknownObject
    usage = branches_of(response.ResponseUsage | None)
    assert usage.single is response.ResponseUsage
    assert usage.known == {}


def test_plain_arrays_and_maps_know_what_they_hold_so_that_a_misfit_has_a_path() -> None:
    names = branches_of(list[str] | None)
    assert names.element is not None
    assert names.element.leaf is str
    assert not names.holds_structs
    labels = branches_of(dict[str, str])
    assert labels.value is not None
    assert labels.value.leaf is str
    for anything in (list[Any], dict[str, Any]):
        assert branches_of(anything).element is None
        assert branches_of(anything).value is None


def test_a_plan_is_made_once() -> None:
    assert plan_of(response.ResponseObject) is plan_of(response.ResponseObject)


def test_what_msgspec_may_read_alone_has_nothing_open_below() -> None:
    flat = {kind for kind, struct in tags_of(events.ResponseStreamEvent).items() if plan_of(struct).flat}
    open_below = set(tags_of(events.ResponseStreamEvent)) - flat
    assert open_below == {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.annotation.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.shell_call_output_content.done",
        "error",
        "response.steer.failed",
    }
