"""What the events of a run of pydantic-ai become, kind by kind; every stream made of them is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import (
    Agent,
    AgentStreamEvent,
    BinaryImage,
    Citation,
    ContentCitationAnchor,
    DocumentCitationSource,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextOutput,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolFailed,
    ToolReturnPart,
    WebCitationSource,
)
from pydantic_ai.messages import CompactionPart, ModelResponsePart, NativeToolCallPart, NativeToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from responses_stream import accumulate, validate_events
from responses_stream.agents.bridges.input_parts import failure_text
from responses_stream.agents.bridges.pydantic_ai import bridge
from responses_stream.agents.bridges.pydantic_ai_events import RunReader
from responses_stream.agents.contents import Incomplete, Said
from responses_stream.agents.rendering import render_stream
from responses_stream.protocol.codec import to_builtins


def rendered(said: Iterable[Said]) -> dict[str, Any]:
    """Return the response that *said* makes, whose events are right."""
    events = list(render_stream(said, response_id="resp_1", model="m"))
    report = validate_events(events, "strict")
    assert not report.violations, str(report)
    return to_builtins(accumulate(events))


def told(*parts: ModelResponsePart) -> list[dict[str, Any]]:
    """Return the output items that a response of *parts* makes."""
    reader, said = RunReader(), list[Said]()
    for index, part in enumerate(parts):
        said.extend(reader.read(PartStartEvent(index=index, part=part)))
        said.extend(reader.read(PartEndEvent(index=index, part=part)))
    output = rendered(said)["output"]
    assert isinstance(output, list)
    return output


def test_code_that_the_provider_runs() -> None:
    arguments = {"code": "print(1)", "container_id": "cntr_1"}
    [item] = told(
        NativeToolCallPart("code_execution", arguments, "ci_1"),
        NativeToolReturnPart("code_execution", {"status": "completed", "logs": ["1\n"]}, "ci_1"),
    )
    assert (item["type"], item["code"], item["container_id"]) == ("code_interpreter_call", "print(1)", "cntr_1")
    assert item["outputs"] == [{"type": "logs", "logs": "1\n"}]


def test_output_of_code_in_two_streams() -> None:
    [item] = told(
        NativeToolCallPart("code_execution", '{"code": "x"}', "ci_1"),
        NativeToolReturnPart("code_execution", {"stdout": "out", "stderr": "err", "return_code": 0}, "ci_1"),
    )
    assert [output["logs"] for output in item["outputs"]] == ["out", "err"]


def test_tools_of_an_mcp_server() -> None:
    items = told(
        NativeToolCallPart(
            "mcp_server:docs", {"action": "call_tool", "tool_name": "find", "tool_args": {"q": 1}}, "m1"
        ),
        NativeToolReturnPart("mcp_server:docs", {"output": "found", "error": None}, "m1"),
        NativeToolCallPart("mcp_server:docs", {"action": "call_tool", "tool_name": "find", "tool_args": {}}, "m2"),
        NativeToolReturnPart("mcp_server:docs", {"output": None, "error": "offline"}, "m2"),
    )
    assert [(item["type"], item["server_label"], item["name"]) for item in items] == [("mcp_call", "docs", "find")] * 2
    assert [(item["arguments"], item["output"]) for item in items] == [('{"q": 1}', "found"), ("{}", None)]
    assert [failure_text(item["error"]) for item in items] == [None, "offline"]


def test_a_search_of_the_provider_is_a_tool_that_ran() -> None:
    [item] = told(
        NativeToolCallPart("web_search", {"query": "rome"}, "ws_1"),
        NativeToolReturnPart("web_search", {"status": "completed"}, "ws_1"),
    )
    assert (item["type"], item["name"], item["output"]) == ("mcp_call", "web_search", '{"status":"completed"}')


def test_an_image_is_said_once() -> None:
    [item] = told(
        NativeToolCallPart("image_generation", None, "ig_1"),
        NativeToolReturnPart("image_generation", {"status": "completed"}, "ig_1"),
        FilePart(BinaryImage(b"png", media_type="image/png")),
    )
    assert (item["type"], item["result"]) == ("image_generation_call", "cG5n")


def test_citations_stand_in_the_text_of_their_message() -> None:
    web = Citation([WebCitationSource("https://a.example", title="A")], anchor=ContentCitationAnchor(start=0, end=3))
    document = Citation([DocumentCitationSource(document_id="file_1", title="b.pdf")])
    [item] = told(TextPart("One. "), TextPart("Two.", citations=[web, document]))
    [part] = item["content"]
    assert part["text"] == "One. Two."
    [first, second] = part["annotations"]
    assert part["text"][first["start_index"] : first["end_index"]] == "Two"
    assert (first["url"], second["file_id"], second["index"]) == ("https://a.example", "file_1", 9)


def test_thoughts_of_a_provider_that_sums_up_are_a_summary() -> None:
    items = told(
        ThinkingPart("One.", id="rs_1", provider_name="openai"),
        ThinkingPart("Two.", id="rs_1", provider_name="openai"),
        ThinkingPart("Raw.", id="reasoning_content", provider_name="openai"),
    )
    assert [[part["text"] for part in item["summary"]] for item in items] == [["One.", "Two."], []]
    assert items[1]["content"][0]["text"] == "Raw."


def test_what_was_compacted_is_told() -> None:
    [item] = told(CompactionPart("They spoke of Rome."))
    assert item["summary"][0]["text"] == "They spoke of Rome."


def test_an_answer_that_was_cut_short_is_incomplete() -> None:
    for reason, why in (("length", "max_output_tokens"), ("content_filter", "content_filter")):
        last = ModelResponse([TextPart("Half")], finish_reason=reason)  # type: ignore[arg-type]  # both are reasons
        assert list(RunReader().end("Half", last)) == [Incomplete(why)]


def respond(agent: Agent[None, Any], text: str = "go") -> dict[str, Any]:
    """Return the response of *agent* to *text*, with no server."""

    async def run() -> dict[str, Any]:
        events = [event async for event in bridge(agent, model="m").respond({"input": text})]
        report = validate_events(events, "strict")
        assert not report.violations, str(report)
        return to_builtins(accumulate(events))

    return asyncio.run(run())


async def tools_model(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Any]:
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        yield "done"
        return
    yield "first"
    yield {1: DeltaToolCall("fail", "{}", tool_call_id="call_1")}
    yield {2: DeltaToolCall("nowhere", "{}", tool_call_id="call_2")}


def shouted(text: str) -> str:
    return text.upper()


def test_a_tool_that_fails_is_told_as_what_the_model_is_told() -> None:
    agent = Agent(FunctionModel(stream_function=tools_model))

    @agent.tool_plain
    def fail() -> str:
        raise ToolFailed("no such city")

    items = respond(agent)["output"]
    assert [item["type"] for item in items] == ["message", "mcp_call", "mcp_call", "message"]
    failed = {item["name"]: str(item["error"]) for item in items if item["type"] == "mcp_call"}
    assert "no such city" in failed["fail"]
    assert "nowhere" in failed["nowhere"]


@pytest.mark.parametrize("deferring", [frozenset[str](), None])
def test_a_model_may_name_each_call_the_same(deferring: frozenset[str] | None) -> None:
    reader, call = RunReader(deferring), ToolCallPart("look", "{}", "c")
    result = FunctionToolResultEvent(ToolReturnPart("look", "seen", "c"))
    pair: list[AgentStreamEvent] = [FunctionToolCallEvent(call), result]
    items = rendered([said for event in pair * 2 for said in reader.read(event)])["output"]
    assert [(item["name"], item["arguments"], item["output"]) for item in items] == [("look", "{}", "seen")] * 2


def test_text_that_a_function_rewrites_is_said_as_rewritten() -> None:
    agent = Agent(FunctionModel(stream_function=tools_model), output_type=TextOutput(shouted))

    @agent.tool_plain
    def fail() -> str:
        return "ok"

    texts = [item["content"][0]["text"] for item in respond(agent)["output"] if item["type"] == "message"]
    assert texts == ["first", "DONE"]


WORDS = st.text(st.sampled_from("ab é\n"), min_size=1, max_size=4)


@st.composite
def run_of_an_agent(draw: st.DrawFn) -> tuple[list[AgentStreamEvent], str]:
    """Draw the events of a run of up to three steps, and all that is said in text."""
    events, text = list[AgentStreamEvent](), ""
    for step in range(draw(st.integers(0, 3))):
        calls = list[ToolCallPart]()
        for index in range(draw(st.integers(1, 4))):
            call_id = f"call_{step}_{index}"
            part: ModelResponsePart
            match draw(st.sampled_from(["text", "thought", "call", "native", "file"])):
                case "text":
                    pieces = draw(st.lists(WORDS, min_size=1, max_size=3))
                    text += "".join(pieces)
                    events.append(PartStartEvent(index=index, part=TextPart(pieces[0])))
                    events.extend(PartDeltaEvent(index=index, delta=TextPartDelta(piece)) for piece in pieces[1:])
                    part = TextPart("".join(pieces))
                case "thought":
                    known: Any = {"id": draw(st.sampled_from([None, "rs_1"])), "provider_name": "openai"}
                    events.append(PartStartEvent(index=index, part=ThinkingPart("", **known)))
                    delta = ThinkingPartDelta(content_delta=draw(WORDS), signature_delta="s")
                    events.append(PartDeltaEvent(index=index, delta=delta))
                    part = ThinkingPart("", signature="s", **known)
                case "call":
                    calls.append(part := ToolCallPart("do", draw(st.sampled_from(["{}", None, '{"a": 1}'])), call_id))
                    events.append(PartStartEvent(index=index, part=part))
                case "native":
                    events.append(PartStartEvent(index=index, part=NativeToolCallPart("web_search", {}, call_id)))
                    part = NativeToolCallPart("web_search", {"q": 1}, call_id)
                case _:
                    part = FilePart(BinaryImage(b"png", media_type="image/png"))
                    events.append(PartStartEvent(index=index, part=part))
            events.append(PartEndEvent(index=index, part=part))
            if isinstance(part, NativeToolCallPart):
                back = NativeToolReturnPart("web_search", {"hits": 1}, call_id)
                events.append(PartStartEvent(index=index + 9, part=back))
        events.extend(FunctionToolCallEvent(call) for call in calls)
        for call in draw(st.permutations(calls)):
            outcome = draw(st.sampled_from(["success", "failed", "denied"]))
            result: Any = ToolReturnPart("do", draw(WORDS), call.tool_call_id, outcome=outcome)  # type: ignore[arg-type]  # each is one
            events.append(FunctionToolResultEvent(result))
    return events, text


@given(run_of_an_agent(), st.booleans(), st.booleans())
def test_whatever_a_run_does_makes_a_right_stream_that_has_all_of_its_text(
    run: tuple[list[AgentStreamEvent], str], deferring: bool, sealed: bool
) -> None:
    events, text = run
    reader = RunReader(deferring=None if deferring else frozenset(), sealed=sealed)
    output = rendered([said for event in events for said in reader.read(event)])["output"]
    told = [item["content"][0]["text"] for item in output if item["type"] == "message"]
    assert "".join(told) == text
    calls = [item["name"] for item in output if item["type"] == "mcp_call"]
    assert calls.count("do") == sum(isinstance(event, FunctionToolCallEvent) for event in events)
