"""What the installed `openai` package knows and we do not, by name: a new release fails here first.

Every difference is listed in this file, in both directions. To mend a failure, either teach our types the name, or
write it into the list with the reason.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import openai
import pytest
from msgspec import UNSET
from openai.types.responses import CompactedResponse as OpenAICompactedResponse
from openai.types.responses import (
    ResponseIncludable,
    ResponseOutputMessage,
    ResponseStatus,
    ResponseTextConfig,
    response_compact_params,
    response_create_params,
)
from openai.types.responses.response import IncompleteDetails
from openai.types.shared import ReasoningEffort as OpenAIReasoningEffort
from pydantic import BaseModel

from responses_stream.protocol.base import Event, Item, Wire
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import InputItem, ItemStatus, MessagePhase, OutputItem
from responses_stream.protocol.plans import Branches, branches_of, plan_of, tags_of
from responses_stream.protocol.request import CompactedResponse, CompactResponse, CreateResponse, IncludeValue
from responses_stream.protocol.response import IncompleteReason
from responses_stream.protocol.response import ResponseStatus as OurStatus
from responses_stream.protocol.tools import ReasoningEffort, ToolDefinition, Verbosity

from . import openai_types

READ_AGAINST: Final = (3, 54)
"""The version of the `openai` package that our types were last held against."""


@pytest.fixture(autouse=True)
def _no_newer_types() -> None:
    # A newer package may know more than we do. Nothing is lost by that, since what is new travels in `extra`; and a
    # checkout that was right yesterday should not fail because of a release of somebody else.
    if tuple(map(int, openai.__version__.split(".")[:2])) > READ_AGAINST:
        pytest.skip(f"openai {openai.__version__} is newer than our types, which were read against {READ_AGAINST}")


UNIONS: Final[dict[str, tuple[Any, Any]]] = {
    "stream events": (openai_types.STREAM_EVENTS, ResponseStreamEvent),
    "websocket events": (openai_types.WEBSOCKET_EVENTS, ResponseStreamEvent),
    "output items": (openai_types.OUTPUT_ITEMS, OutputItem),
    "input items": (openai_types.INPUT_ITEMS, InputItem),
    "listed items": (openai_types.LISTED_ITEMS, InputItem),
    "tools": (openai_types.TOOLS, ToolDefinition),
}
"""Each union of the `openai` package with ours."""

TYPES_WE_LACK: Final[frozenset[str]] = frozenset()
"""Types that `openai` knows and we do not, as ``union: type``."""

MEMBERS_WE_LACK: Final[frozenset[str]] = frozenset()
"""Members that a model of `openai` has and our type has not, as ``Model.member``."""

MEMBERS_THEY_LACK: Final[dict[str, str]] = {
    # an error is written in both its shapes (decision 5)
    "ResponseErrorEvent": "error status",
    "ResponseWsError": "code message param",
    "ResponseWsErrorError": "details additionalInfo debugInfo",
    "Error": "param headers details additionalInfo debugInfo misalignment",
    # the Azure types and Open Responses
    "ResponseFunctionCallArgumentsDoneEvent": "name",
    "ResponseFunctionCallArgumentsWsDone": "name",
    "Response": "presence_penalty frequency_penalty store agent_session_id agent_reference response_id",
    "FileSearchTool": "name description",
    "WebSearchTool": "name description custom_search_configuration",
    "WebSearchPreviewTool": "name description",
    "Mcp": "project_connection_id",
    "CodeInterpreter": "name description",
    "ImageGeneration": "name description",
    "FunctionShellTool": "name description",
    "ToolMcp": "project_connection_id",
    "ToolCodeInterpreter": "name description",
    "ToolImageGeneration": "name description",
    # live servers and listings
    "ResponseCustomToolCall": "status created_by",
    # one type of ours serves as input and as output
    "ApplyPatchCall": "created_by",
    "ApplyPatchCallOutput": "created_by",
    "ComputerCallOutput": "created_by",
    "EasyInputMessage": "id status",
    "FunctionCallOutput": "created_by",
    "Message": "id phase",
    "ResponseInputMessageItem": "phase",
    "ResponseCompactionItemParam": "created_by",
    "ResponseCustomToolCallOutput": "status created_by",
    "ResponseFunctionToolCall": "created_by",
    "ResponseToolSearchOutputItemParam": "created_by",
    "ShellCall": "created_by",
    "ShellCallOutput": "created_by",
    "ToolSearchCall": "created_by",
    "ResponseFunctionShellCallOutputContent": "created_by",
    "ResponseLocalEnvironment": "skills",
    # log probabilities have one form there for parts and one for events
    "Logprob": "bytes",
    "LogprobTopLogprob": "bytes",
}
"""Members that our type has and the model of `openai` has not."""

GENERAL: Final[dict[type[Wire], set[str]]] = {
    # A WebSocket adds the lane to every event, in models of its own; padding may be on every delta (events.md 2).
    Event: {"stream_id", "obfuscation"},
    # The Azure platform stamps every item (items.md section 1).
    Item: {"response_id", "agent_reference"},
}
"""Members that all of our types of a kind have, whether or not a model of `openai` has them."""

LEFT_OUT_BY_DEFAULT: Final[dict[str, str]] = {
    # clients leave these out of input; whoever makes output gives them (W32)
    "AdditionalTools": "id",
    "McpApprovalResponse": "id",
    "ResponseApplyPatchToolCall": "id",
    "ResponseApplyPatchToolCallOutput": "id",
    "ResponseCompactionItem": "id",
    "ResponseComputerToolCallOutputItem": "id status",
    "ResponseConfigurationUpdateItem": "id",
    "ResponseCustomToolCallItem": "id status",
    "ResponseCustomToolCallOutputItem": "id status",
    "ResponseFunctionShellToolCall": "id status",
    "ResponseFunctionShellToolCallOutput": "id status",
    "ResponseFunctionToolCallItem": "id status",
    "ResponseFunctionToolCallOutputItem": "id status",
    "ResponseInputMessageItem": "id",
    "ResponseOutputMessage": "id status",
    "ResponseReasoningItem": "id",
    "ResponseToolSearchCall": "id execution status",
    "ResponseToolSearchOutputItem": "id execution status",
    "ResponseInputImage": "detail",
    # servers leave it out while the search runs (events.md 4.3)
    "ResponseFunctionWebSearch": "action",
    # each stands in one of the two shapes, and on a WebSocket there may be no number
    "ResponseErrorEvent": "message sequence_number",
    "ResponseWsError": "error",
    "Error": "type",
    "ResponseWsErrorError": "type",
    # Open Responses or Azure do without
    "Logprob": "bytes top_logprobs",
    "LogprobTopLogprob": "bytes",
    "ToolChoiceAllowed": "mode",
    "ToolChoiceFunction": "name",
    "ResponseFormatTextJSONSchemaConfig": "name schema",
    "UserLocation": "type",
}
"""Members that a model of `openai` requires and that we do not write unless they are given."""

PLAIN_JSON: Final[dict[str, str]] = {
    "AccessPrograms": "access_programs",
    "ComparisonFilter": "filters",
    "CompoundFilter": "filters",
    "ContainerAuto": "environment",
    "ContainerNetworkPolicyAllowlist": "network_policy",
    "ContainerNetworkPolicyDisabled": "network_policy",
    "ContainerReference": "environment",
    "Image": "image",
    "ImageGenerationSvg": "svg",
    "InputTokensDetailsCacheWriteTokensDetails": "cache_write_tokens_details",
    "InputTransformation": "input_transformations",
    "LocalEnvironment": "environment",
    "LocalSkill": "skills",
    "Misalignment": "misalignment",
    "Moderation": "moderation",
    "PromptCacheDiagnosticsCacheHit": "prompt_cache_diagnostics",
    "PromptCacheDiagnosticsCacheMiss": "prompt_cache_diagnostics",
    "PromptCacheDiagnosticsComparisonResponseNotFound": "prompt_cache_diagnostics",
    "PromptCacheDiagnosticsUnavailable": "prompt_cache_diagnostics",
    "PromptCacheOptions": "prompt_cache_options",
    "RankingOptionsHybridSearch": "hybrid_search",
    "Reasoning": "reasoning",
    "ResponseInputFile": "variables",
    "ResponseInputImage": "variables",
    "ResponseInputText": "variables",
    "ResponseWsErrorErrorMisalignment": "misalignment",
    "Steer": "steer",
    "Text": "text",
    "ToolImageGenerationSvg": "svg",
    "ToolUsage": "tool_usage",
}
"""Models of `openai` for which we keep plain JSON, each with the member that holds it."""

REQUIRED_INPUT: Final = {
    "ApplyPatchCallOutput",
    "ComputerCallOutput",
    "CustomToolCallOutput",
    "FunctionCallOutput",
    "McpApprovalResponse",
    "ShellCallOutput",
    "ToolSearchOutput",
}
"""Stubs in `response.steer.pending`, which are items without their answer: plain JSON too."""


class Pair(typing.NamedTuple):
    """A model of `openai` with our type for the same object."""

    model: type[BaseModel]
    struct: type[Wire]


def pairs() -> Iterator[Pair]:
    """Yield each model of `openai` that a union or a member of one leads to, with our type."""
    seen: set[Pair] = set()
    left = [pair for theirs, ours in UNIONS.values() for pair in _paired(theirs, branches_of(ours))]
    while left:
        pair = left.pop(0)
        if pair in seen:
            continue
        seen.add(pair)
        yield pair
        members = plan_of(pair.struct).members
        for name, annotation in openai_types.members_of(pair.model).items():
            if name in members:
                left += _paired(annotation, members[name].branches)


def plain_json() -> Iterator[tuple[str, str]]:
    """Yield each model of `openai` for which we keep plain JSON, with the member that holds it."""
    for pair in pairs():
        members = plan_of(pair.struct).members
        for name, annotation in openai_types.members_of(pair.model).items():
            for model, branches in _objects(annotation, members[name].branches if name in members else Branches()):
                if name in members and not branches.structs:
                    yield model.__name__, name


def _paired(annotation: Any, branches: Branches) -> list[Pair]:
    found = []
    for model, inside in _objects(annotation, branches):
        kinds = openai_types.types_of(model) if "type" in model.model_fields else ()
        structs = [inside.known[kind] for kind in kinds if kind in inside.known]
        if not structs and inside.single is not None:
            structs = [inside.single]
        elif not kinds and len(inside.known) == 1:
            structs = list(inside.known.values())
        found += [Pair(model, struct) for struct in structs]
    return found


def _objects(annotation: Any, branches: Branches) -> Iterator[tuple[type[BaseModel], Branches]]:
    """Yield the models that an annotation leads to, each with what our types have in that place."""
    for option in openai_types.options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option, branches
        elif typing.get_origin(option) is list:
            yield from _objects(typing.get_args(option)[0], branches.element or Branches())
        elif typing.get_origin(option) is dict:
            yield from _objects(typing.get_args(option)[1], branches.value or Branches())


def types_below() -> Iterator[tuple[str, bool]]:
    """Yield each type of a smaller object that `openai` knows, as ``Model.member: type``, and whether we know it."""
    for pair in pairs():
        members = plan_of(pair.struct).members
        for name, annotation in openai_types.members_of(pair.model).items():
            for model, branches in _objects(annotation, members[name].branches if name in members else Branches()):
                if branches.structs and branches.single is None and "type" in model.model_fields:
                    for kind in openai_types.types_of(model):
                        yield f"{pair.model.__name__}.{name}: {kind}", kind in branches.known


def named(table: dict[str, str]) -> set[str]:
    return {f"{model}.{member}" for model, members in table.items() for member in members.split()}


def listed(names: set[str]) -> str:
    """What to show in a failure."""
    return "\n  ".join(["", *sorted(names)])


def same(found: set[str], known: set[str], new: str, gone: str) -> None:
    """Fail with the names that are *new*, and with those in the lists of this file that are *gone*."""
    assert not found - known, f"{new}:{listed(found - known)}"
    assert not known - found, f"{gone}:{listed(known - found)}"


def test_openai_knows_no_type_that_we_do_not() -> None:
    theirs = {f"{name}: {kind}" for name, (union, _) in UNIONS.items() for kind, _ in openai_types.by_type(union)}
    ours = {f"{name}: {kind}" for name, (_, union) in UNIONS.items() for kind in tags_of(union)}
    same(theirs - ours, set(TYPES_WE_LACK), "openai knows these types and we do not", "openai knows these no more")


def test_openai_knows_no_type_of_a_smaller_object_that_we_do_not() -> None:
    found = dict(types_below())
    assert len(found) > 300  # or the models were not found
    same({name for name, known in found.items() if not known}, set(), "openai knows these types and we do not", "")


@pytest.mark.parametrize("name", UNIONS)
def test_the_unions_of_openai_are_found(name: str) -> None:
    # A package that moves or renames its unions must not make the other tests pass by emptiness.
    assert len(openai_types.by_type(UNIONS[name][0])) >= {"tools": 18, "stream events": 59}.get(name, 28)


def test_openai_has_no_member_that_we_lack() -> None:
    missing = {
        f"{model.__name__}.{member}"
        for model, struct in pairs()
        for member in openai_types.members_of(model)
        if member not in plan_of(struct).members and not (member == "type" and plan_of(struct).tag is not None)
    }
    same(missing, set(MEMBERS_WE_LACK), "openai has these members and we do not", "these are no longer missing")


def test_the_members_that_openai_lacks_are_known_by_name() -> None:
    beyond = set()
    for model, struct in pairs():
        general = {name for kind, names in GENERAL.items() if issubclass(struct, kind) for name in names}
        names = set(plan_of(struct).members) - set(openai_types.members_of(model)) - general
        beyond |= {f"{model.__name__}.{name}" for name in names}
    same(
        beyond,
        named(MEMBERS_THEY_LACK),
        "we have these members and openai does not",
        "openai has these now, or we no more",
    )


def test_what_openai_requires_and_we_leave_out_by_default_is_known_by_name() -> None:
    left_out = set()
    for model, struct in pairs():
        defaults = {field.encode_name: field.default for field in msgspec.structs.fields(struct) if not field.required}
        left_out |= {
            f"{model.__name__}.{member}" for member in openai_types.required_of(model) if defaults.get(member) is UNSET
        }
    same(
        left_out,
        named(LEFT_OUT_BY_DEFAULT),
        "openai requires these, and our types leave them out unless they are given",
        "these are required here now, or have a default, or openai requires them no more",
    )


def test_the_objects_that_stay_plain_json_are_known_by_name() -> None:
    found = {f"{model}.{member}" for model, member in plain_json()}
    stubs = {f"{model}.required_input" for model in REQUIRED_INPUT}
    same(found, named(PLAIN_JSON) | stubs, "we keep these as plain JSON", "these have a type now, or are gone")


@pytest.mark.parametrize(
    ("theirs", "ours", "they_lack"),
    [
        (
            response_create_params.ResponseCreateParamsBase,
            CreateResponse,
            "presence_penalty frequency_penalty agent_reference structured_inputs agent_session_id response_id stream",
        ),
        (response_compact_params.ResponseCompactParams, CompactResponse, ""),
        (OpenAICompactedResponse, CompactedResponse, ""),
    ],
    ids=["create", "compact", "compacted"],
)
def test_the_bodies_of_openai_have_the_members_of_ours(theirs: Any, ours: type[Wire], they_lack: str) -> None:
    names = set(theirs.model_fields) if hasattr(theirs, "model_fields") else set(typing.get_type_hints(theirs))
    same(names - set(plan_of(ours).members), set(), f"openai has these members of {ours.__name__} and we do not", "")
    same(set(plan_of(ours).members) - names, set(they_lack.split()), "openai lacks these", "openai has these now")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (ResponseStatus, OurStatus),
        (IncompleteDetails.model_fields["reason"].annotation, IncompleteReason),
        (OpenAIReasoningEffort, ReasoningEffort),
        (ResponseTextConfig.model_fields["verbosity"].annotation, Verbosity),
        (ResponseOutputMessage.model_fields["status"].annotation, ItemStatus),
        (ResponseOutputMessage.model_fields["phase"].annotation, MessagePhase),
    ],
    ids=["status", "incomplete reason", "effort", "verbosity", "item status", "phase"],
)
def test_the_words_of_openai_are_ours(theirs: Any, ours: Any) -> None:
    words = {word for option in openai_types.options(theirs) for word in typing.get_args(option)}
    same(words - set(typing.get_args(ours)), set(), "openai knows these words and we do not", "")
    same(set(typing.get_args(ours)) - words, set(), "we know these words and openai does not", "")


def test_the_values_of_include_are_those_of_openai_and_one_of_azure() -> None:
    theirs, ours = set(typing.get_args(ResponseIncludable)), set(typing.get_args(IncludeValue))
    same(theirs - ours, set(), "openai knows these values of include and we do not", "")
    assert ours - theirs == {"memory_search_call.results"}
