"""Every tool of request-response.md section 5 is a type of its own, with every member that the tables name."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec import UNSET

from responses_stream.errors import DecodeError
from responses_stream.protocol.base import UnknownObject, UnknownTool, Wire
from responses_stream.protocol.codec import decode_as, decode_union, to_builtins
from responses_stream.protocol.plans import plan_of, tags_of
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.tools import (
    FunctionTool,
    NamespaceTool,
    Reasoning,
    ResponseTextConfig,
    TextFormat,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceMcp,
    ToolChoiceTypes,
    ToolDefinition,
)

from .facts import canonical, opaque, undeclared

_WEB_SEARCH: Final = (
    "external_web_access filters.allowed_domains search_context_size user_location.city user_location.country"
    " user_location.region user_location.timezone user_location.type"
)
_WEB_SEARCH_PREVIEW: Final = (
    "search_content_types search_context_size user_location.type user_location.city user_location.country"
    " user_location.region user_location.timezone"
)

TOOLS: Final[dict[str, str]] = {
    "function": "name parameters strict allowed_callers async defer_loading description output_schema",
    "file_search": (
        "vector_store_ids filters max_num_results ranking_options.ranker ranking_options.score_threshold"
        " ranking_options.hybrid_search.embedding_weight ranking_options.hybrid_search.text_weight"
    ),
    "computer": "",
    "computer_use_preview": "display_height display_width environment",
    "web_search": _WEB_SEARCH,
    "web_search_2025_08_26": _WEB_SEARCH,
    "web_search_preview": _WEB_SEARCH_PREVIEW,
    "web_search_preview_2025_03_11": _WEB_SEARCH_PREVIEW,
    "mcp": (
        "server_label allowed_callers allowed_tools.read_only allowed_tools.tool_names authorization connector_id"
        " defer_loading headers require_approval.always.read_only require_approval.always.tool_names"
        " require_approval.never.read_only require_approval.never.tool_names server_description server_url tunnel_id"
    ),
    "code_interpreter": (
        "container<auto>.type container<auto>.file_ids container<auto>.memory_limit"
        " container<auto>.network_policy<allowlist>.allowed_domains"
        " container<auto>.network_policy<allowlist>.domain_secrets[].domain allowed_callers"
    ),
    "programmatic_tool_calling": "",
    "image_generation": (
        "action background complexity frame_count frame_duration_ms input_fidelity input_image_mask.file_id"
        " input_image_mask.image_url model moderation output_compression output_format partial_images quality size"
        " svg.model svg.reasoning.effort"
    ),
    "local_shell": "",
    "shell": (
        "allowed_callers environment<container_auto>.file_ids environment<container_auto>.memory_limit"
        " environment<container_auto>.network_policy<allowlist>.allowed_domains"
        " environment<container_auto>.skills[]<skill_reference>.skill_id"
        " environment<container_auto>.skills[]<inline>.name"
        " environment<local>.skills[].path environment<container_reference>.container_id"
    ),
    "custom": "name allowed_callers async defer_loading description format<grammar>.definition format<grammar>.syntax",
    "namespace": "description name tools",
    "tool_search": "description execution parameters",
    "apply_patch": "allowed_callers",
}
"""The tools of request-response.md section 5.1."""

AZURE_TOOLS: Final[dict[str, str]] = {
    "a2a_preview": "name description base_url agent_card_path project_connection_id",
    "azure_ai_search": "azure_ai_search name description",
    "azure_function": "azure_function",
    "bing_custom_search_preview": "bing_custom_search_preview name description",
    "bing_grounding": "bing_grounding name description",
    "browser_automation_preview": "browser_automation_preview name description",
    "capture_structured_outputs": "outputs",
    "fabric_dataagent_preview": "fabric_dataagent_preview name description",
    "memory_search_preview": "memory_store_name scope search_options update_delay name description",
    "openapi": "openapi",
    "sharepoint_grounding_preview": "sharepoint_grounding_preview name description",
    "work_iq_preview": "work_iq_preview",
}
"""The twelve tools that only the Azure platform has."""

AZURE_ADDS: Final[dict[str, str]] = {
    "file_search": "name description",
    "web_search": "name description custom_search_configuration",
    "web_search_preview": "name description",
    "mcp": "project_connection_id",
    "code_interpreter": "name description",
    "image_generation": "name description",
    "shell": "name description",
}
"""What the Azure platform adds to tools of others."""

PLAIN_JSON: Final = {
    "code_interpreter.container<auto>.network_policy<allowlist>.allowed_domains",
    "code_interpreter.container<auto>.network_policy<allowlist>.domain_secrets[].domain",
    "file_search.ranking_options.hybrid_search.embedding_weight",
    "file_search.ranking_options.hybrid_search.text_weight",
    "image_generation.svg.model",
    "image_generation.svg.reasoning.effort",
    "shell.environment<container_auto>.file_ids",
    "shell.environment<container_auto>.memory_limit",
    "shell.environment<container_auto>.network_policy<allowlist>.allowed_domains",
    "shell.environment<container_auto>.skills[]<inline>.name",
    "shell.environment<container_auto>.skills[]<skill_reference>.skill_id",
    "shell.environment<container_reference>.container_id",
    "shell.environment<local>.skills[].path",
}
"""Settings deep inside a tool that we pass through as the JSON they are; nothing here reads them."""


def test_each_tool_of_the_tables_is_a_type_and_there_is_no_other() -> None:
    assert set(tags_of(ToolDefinition)) == set(TOOLS) | set(AZURE_TOOLS)
    assert len(AZURE_TOOLS) == 12


@pytest.mark.parametrize("table", [TOOLS, AZURE_TOOLS, AZURE_ADDS], ids=["common", "azure", "azure adds"])
def test_each_member_of_a_tool_is_declared(table: dict[str, str]) -> None:
    assert undeclared(tags_of(ToolDefinition), table) == set()


def test_what_stays_plain_json_in_a_tool_is_known_by_name() -> None:
    assert opaque(tags_of(ToolDefinition), TOOLS) == PLAIN_JSON


def test_a_tool_of_an_unknown_type_is_kept_whole() -> None:
    data = {"type": "acme:oracle", "name": "pythia", "options": {"fumes": 1.0}}
    tool = decode_union(data, ToolDefinition, "tool", strict=True)
    assert isinstance(tool, UnknownTool)
    assert canonical(to_builtins(tool)) == canonical(data)


def test_a_namespace_holds_tools_of_every_type() -> None:
    data = {
        "type": "namespace",
        "name": "crm",
        "description": "Customers",
        "tools": [{"type": "function", "name": "find", "x": 1}, {"type": "acme:oracle"}],
    }
    tool = decode_union(data, ToolDefinition, "tool", strict=True)
    assert isinstance(tool, NamespaceTool)
    assert [type(inner) for inner in tool.tools] == [FunctionTool, UnknownTool]
    assert canonical(to_builtins(tool)) == canonical(data)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "function", "name": "f"},
        {"type": "function", "name": "f", "parameters": None, "strict": None, "async": True},
        {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}},
        {"type": "custom", "name": "sql", "format": {"type": "acme:format"}},
        {"type": "mcp", "server_label": "docs", "require_approval": "never", "allowed_tools": ["a"]},
        {"type": "mcp", "server_label": "docs", "require_approval": {"always": {"tool_names": ["a"]}}},
        {"type": "mcp", "server_label": "docs", "allowed_tools": {"read_only": True}, "headers": {"x": "y"}},
        {"type": "code_interpreter", "container": "cntr_01"},
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_01"]}},
        {"type": "code_interpreter", "container": {"type": "acme:box", "size": 1.0}},
        {"type": "file_search", "vector_store_ids": ["vs"], "ranking_options": {"score_threshold": 0}},
        {"type": "file_search", "vector_store_ids": ["vs"], "ranking_options": {"score_threshold": 0.0}},
        {"type": "web_search", "user_location": {"type": "approximate", "city": None}},
        {"type": "image_generation", "n": 1, "partial_images": 3},
    ],
    ids=lambda data: data["type"],
)
def test_a_tool_comes_out_as_it_went_in(data: dict[str, Any]) -> None:
    assert canonical(to_builtins(decode_union(data, ToolDefinition, "tool", strict=True))) == canonical(data)


@pytest.mark.parametrize(
    ("data", "struct"),
    [
        ({"type": "function", "name": "f"}, ToolChoiceFunction),
        ({"type": "function"}, ToolChoiceFunction),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}, ToolChoiceAllowed),
        ({"type": "allowed_tools", "tools": []}, ToolChoiceAllowed),
        ({"type": "custom", "name": "sql"}, ToolChoiceCustom),
        ({"type": "mcp", "server_label": "docs", "name": None}, ToolChoiceMcp),
        *(
            ({"type": kind}, ToolChoiceTypes)
            for kind in (
                "file_search",
                "web_search_preview",
                "web_search_preview_2025_03_11",
                "computer",
                "computer_use_preview",
                "computer_use",
                "image_generation",
                "code_interpreter",
                "apply_patch",
                "shell",
                "programmatic_tool_calling",
            )
        ),
        ({"type": "acme:oracle", "name": "pythia"}, UnknownObject),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_each_form_of_tool_choice_is_a_type(data: dict[str, Any], struct: Any) -> None:
    choice = decode_union(data, ToolChoice, "tool choice", strict=True)
    assert type(choice) is struct
    assert canonical(to_builtins(choice)) == canonical(data)


@pytest.mark.parametrize("word", ["none", "auto", "required"])
def test_a_tool_choice_may_be_a_word(word: str) -> None:
    assert decode_as({"tool_choice": word}, CreateResponse, strict=True).tool_choice == word


@pytest.mark.parametrize(
    "data",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "description": "x", "strict": None},
        {"type": "acme:yaml", "indent": 2},
    ],
    ids=lambda data: data["type"],
)
def test_each_form_of_text_is_a_type(data: dict[str, Any]) -> None:
    form = decode_union(data, TextFormat, "text format", strict=True)
    assert isinstance(form, UnknownObject) == (data["type"] == "acme:yaml")
    assert form.extra is UNSET or data["type"] == "acme:yaml"
    assert canonical(to_builtins(form)) == canonical(data)


def test_the_settings_of_text_and_reasoning_have_every_member() -> None:
    known: dict[str, type[Wire]] = {"text": ResponseTextConfig, "reasoning": Reasoning}
    table = {
        "text": (
            "verbosity format<text>.type format<json_object>.type format<json_schema>.name format<json_schema>.schema"
            " format<json_schema>.description format<json_schema>.strict"
        ),
        "reasoning": "effort summary generate_summary context mode",
    }
    assert undeclared(known, table) == set()
    assert set(plan_of(Reasoning).members) == set(table["reasoning"].split())


def test_a_tool_without_a_type_is_a_problem_only_for_a_strict_reader() -> None:
    data: dict[str, Any] = {"tools": [{"name": "f"}, {"type": 3}, {"type": ""}, {"type": "function"}]}
    assert canonical(to_builtins(decode_as(data, CreateResponse))) == canonical(data)
    with pytest.raises(DecodeError) as caught:
        decode_as(data, CreateResponse, strict=True)
    assert [str(problem) for problem in caught.value.problems] == [
        "$.tools[0].type: is required and missing",
        "$.tools[1].type: expected a non-empty string, got integer",
        "$.tools[2].type: expected a non-empty string, got ''",
        "$.tools[3].name: is required and missing",
    ]
