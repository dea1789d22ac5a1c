"""Whatever a model of `openai-agents` streams comes through whole: the translation, over all programs."""

from __future__ import annotations

from operator import add, le
from typing import Any

import attrs
from agents import Agent, RawResponsesStreamEvent, RunContextWrapper, ShellTool, set_tracing_disabled
from agents.testing import ScriptedModel
from agents.usage import Usage
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from responses_stream import ResponseEventStream, accumulate, validate_events
from responses_stream.agents import contents
from responses_stream.agents.bridges.openai_agents_events import Translation
from responses_stream.agents.bridges.openai_agents_input import answered, tools_of_client
from responses_stream.agents.bridges.openai_agents_usage import Spending
from responses_stream.agents.rendering import render_stream
from responses_stream.protocol.codec import to_builtins

from .test_openai_agents import as_openai

set_tracing_disabled(True)

PIECES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=3)


def said_by(stream: ResponseEventStream, number: int, kind: str, pieces: list[str]) -> Any:
    """Say one item of *kind*, in *pieces* where it has some."""
    match kind:
        case "message":
            return stream.output_item_message(pieces)
        case "thought":
            return stream.output_item_reasoning(pieces, encrypted_content="c2VhbGVk" if len(pieces) > 1 else None)
        case "call":
            arguments = [f'{{"{number}": [', *[f"{len(piece)}, " for piece in pieces], "0]}"]
            return stream.output_item_function_call("open_door", f"call_{number}", arguments)
        case _:
            return stream.output_item_web_search_call(action={"type": "search", "query": "".join(pieces)})


def bare(item: Any) -> Any:
    """Return an item without what each response makes anew."""
    plain = to_builtins(item)
    return {name: value for name, value in plain.items() if name not in ("id", "status", "phase")}


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["message", "thought", "call", "search"]), PIECES), max_size=4), max_size=3
    )
)
def test_what_models_of_the_platform_say_comes_through(responses: list[list[tuple[str, list[str]]]]) -> None:
    doors = tools_of_client([{"name": "open_door"}], {})
    translation = Translation(Agent(name="Tutor", tools=doors, model=ScriptedModel()))
    told, items = [], []
    for number, response in enumerate(responses):
        stream = ResponseEventStream(f"resp_{number}", {"model": "upstream"})
        events: list[Any] = [stream.emit_created(), stream.emit_in_progress()]
        for place, (kind, pieces) in enumerate(response):
            events += said_by(stream, 10 * number + place, kind, pieces)
        events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}))
        items += stream.response.output
        told += as_openai(*events)
    said = [content for event in told for content in translation.said(RawResponsesStreamEvent(event))]
    rendered = list(render_stream(said, response_id="resp_ours"))
    report = validate_events(rendered, "strict")
    assert not report.violations, str(report)
    folded = accumulate(rendered)
    assert [bare(item) for item in folded.output] == [bare(item) for item in items]
    usage = to_builtins(folded)["usage"]
    assert usage is None or usage["total_tokens"] == 3 * len(responses)
    assert folded.model == ("upstream" if responses else "agent")


@attrs.frozen
class _Call:
    kind: str
    number: int


CALLS = st.builds(_Call, st.sampled_from(["function_call", "custom_tool_call", "shell_call"]), st.integers(0, 3))
OUTPUTS = st.builds(_Call, st.sampled_from(["function_call_output", "shell_call_output"]), st.integers(0, 3))


@given(st.lists(CALLS | OUTPUTS | st.just(_Call("message", 0))))
def test_each_call_that_a_model_is_shown_has_an_output(history: list[_Call]) -> None:
    items = [{"type": one.kind, "call_id": f"call_{one.number}"} for one in history]
    shown = answered(items)
    outputs = {(item["type"], item["call_id"]) for item in shown}
    calls = [item for item in shown if item["type"].endswith("_call")]
    assert all((f"{item['type']}_output", item["call_id"]) in outputs for item in calls)
    # Nothing else is left out, and the order stays.
    kept = iter(shown)
    assert all(item in kept for item in items if item["type"] != "shell_call")
    assert answered(shown) == shown


def test_a_tool_is_a_tool_of_the_agent_that_speaks() -> None:
    """A shell has no flag of a function; its calls are held back until they were made."""
    agent = Agent(name="Keeper", tools=[ShellTool(executor=lambda _: "")], model=ScriptedModel())
    stream = ResponseEventStream("resp_1", {"model": "upstream"})
    called = stream.output_item_function_call("shell", "call_1", "{}")
    events = [stream.emit_created(), stream.emit_in_progress(), *called]
    translation = Translation(agent)
    said = [one for event in as_openai(*events) for one in translation.said(RawResponsesStreamEvent(event))]
    assert [getattr(one, "model", None) for one in said] == ["upstream"]
    assert list(translation.known) == ["call_1"]


COUNTS = st.tuples(*[st.integers(0, 9)] * 4)


def spent(counts: tuple[int, ...]) -> Usage:
    read, written, cached, thought = counts
    return Usage(
        input_tokens=read,
        output_tokens=written,
        input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
    )


@given(COUNTS, st.lists(st.tuples(COUNTS, st.booleans(), st.integers(0, 2))))
def test_each_token_is_told_once(before: tuple[int, ...], steps: list[tuple[tuple[int, ...], bool, int]]) -> None:
    """Whether a model of the run spends it or that of an agent that is a tool, and whenever the framework counts it."""
    context: RunContextWrapper[None] = RunContextWrapper(None, usage=spent(before))
    spending = Spending(context)
    total, told, uncounted = (0, 0, 0, 0), (0, 0, 0, 0), list[Usage]()
    for counts, heard, count in steps:
        uncounted.append(spent(counts))
        total = tuple(map(add, total, counts))
        if heard:
            spending.hear(spent(counts))
        for usage in uncounted[:count]:
            context.usage.add(usage)
        del uncounted[:count]
        told = tuple(map(add, told, attrs.astuple(spending.news())))
        assert all(map(le, told, total))
    for usage in uncounted:
        context.usage.add(usage)
    assert tuple(map(add, told, attrs.astuple(spending.news()))) == total
    assert spending.news() == contents.Usage()
