"""Whatever a chat model of LangChain streams comes through whole: the translation, over all programs."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage

from responses_stream import accumulate, validate_events
from responses_stream.agents.bridges.langgraph_events import Translation
from responses_stream.agents.bridges.langgraph_input import answered, loaded, saved
from responses_stream.agents.rendering import render_stream
from responses_stream.protocol.codec import to_builtins

TEXTS = st.text(min_size=1, max_size=4)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.builds(lambda text, index: {"type": "reasoning", "reasoning": text, "index": index}, TEXTS, st.integers(0, 2)),
    st.builds(lambda index: {"type": "tool_call_chunk", "args": "", "index": index}, st.integers(0, 3)),
    st.builds(lambda text: {"type": "non_standard", "value": {"refusal": text}}, TEXTS),
    st.just({"type": "image", "base64": "aGk="}),
    st.just({"type": "file", "url": "https://sky/1.pdf", "mime_type": "application/pdf"}),
)


@st.composite
def messages(draw: st.DrawFn) -> list[BaseMessage]:
    """Draw what a run says: pieces of messages of models, whole ones, calls in pieces, and results of tools.

    Some models give their calls the same ids again, and nodes that run side by side say theirs at the same time.
    """
    ids = draw(st.sampled_from(["call_{}_{}", "call_{1}"]))
    runs = [_run(draw, number, ids) for number in range(draw(st.integers(0, 3)))]
    if ids == "call_{1}" or draw(st.booleans()):
        return [message for run in runs for message in run]
    turns = draw(st.permutations([number for number, run in enumerate(runs) for _ in run]))
    left = [iter(run) for run in runs]
    return [next(left[number]) for number in turns]


def _run(draw: st.DrawFn, number: int, ids: str) -> list[BaseMessage]:
    provider = draw(st.sampled_from(["openai", "another"]))
    told: list[BaseMessage] = list(_pieces(number, provider, draw(st.lists(BLOCKS, max_size=4))))
    calls = [ids.format(number, index) for index in range(draw(st.integers(0, 2)))]
    for index, call_id in enumerate(calls):
        name = draw(st.sampled_from(["own", "of_client"]))
        begun = {"type": "tool_call_chunk", "id": call_id, "name": name, "index": 10 + index}
        told += _pieces(number, provider, [{**begun, "args": '{"n": '}])
    # Pieces of calls come in turns.
    ends = [{"type": "tool_call_chunk", "args": "1}", "index": 10 + index} for index, _ in enumerate(calls)]
    told += _pieces(number, provider, draw(st.permutations(ends)))
    if draw(st.booleans()):
        told.append(AIMessageChunk(content="", id=f"run_{number}", chunk_position="last"))
    for call_id in calls:
        if draw(st.booleans()):
            status = draw(st.sampled_from(["success", "error"]))
            told.append(ToolMessage("done", tool_call_id=call_id, status=status))
    return told


def _pieces(number: int, provider: str, blocks: list[dict[str, Any]]) -> list[BaseMessage]:
    metadata = {"output_version": "v1", "model_provider": provider}
    return [AIMessageChunk(content=[block], id=f"run_{number}", response_metadata=metadata) for block in blocks]


def _texts(told: list[BaseMessage]) -> list[str]:
    """Return what each message says in adjacent pieces of text."""
    found: dict[str | None, list[str]] = {}
    for message in told:
        for block in message.content_blocks if isinstance(message, AIMessage) else ():
            parts = found.setdefault(message.id, [""])
            if block["type"] == "text":
                parts[-1] += block["text"]
            elif block["type"] in ("reasoning", "image", "file", "non_standard"):
                parts.append("")
    return [part for parts in found.values() for part in parts if part]


def _unanswered(told: list[BaseMessage]) -> list[str]:
    """Return the names of the calls that have no result; one with an id that comes again is of the first."""
    waiting: list[tuple[str, str]] = []
    for message in told:
        if isinstance(message, ToolMessage):
            waiting.remove(next(call for call in waiting if call[0] == message.tool_call_id))
        elif isinstance(message, AIMessage):
            blocks: list[Any] = [*message.content_blocks]
            waiting += [(block["id"], block["name"]) for block in blocks if block.get("name")]
    return [name for _, name in waiting]


@settings(max_examples=100)
@given(messages())
def test_what_models_say_makes_a_valid_stream_and_nothing_is_lost(told: list[BaseMessage]) -> None:
    translation = Translation(clients={"of_client"})
    said = [content for message in told for content in translation.said(message)]
    said += translation.unmade(None)
    rendered = list(render_stream(said, response_id="resp_ours"))
    report = validate_events(rendered, "strict")
    assert not report.violations, str(report)
    output = [to_builtins(item) for item in accumulate(rendered).output]
    parts = [part.get("text", "") for item in output for part in item.get("content") or ()]
    assert all(any(text in part for part in parts) for text in _texts(told))
    kinds = [item["type"] for item in output]
    assert kinds.count("mcp_call") == sum(isinstance(message, ToolMessage) for message in told)
    assert kinds.count("function_call") == _unanswered(told).count("of_client")
    assert all(item["arguments"] == '{"n": 1}' for item in output if item["type"] in ("mcp_call", "function_call"))


HISTORY = st.lists(
    st.one_of(
        st.builds(HumanMessage, TEXTS),
        st.builds(
            lambda numbers: AIMessage(
                "", tool_calls=[{"id": f"call_{n}", "name": "own", "args": {}, "type": "tool_call"} for n in numbers]
            ),
            st.lists(st.integers(0, 5), unique=True, max_size=2),
        ),
        st.builds(lambda number: ToolMessage("done", tool_call_id=f"call_{number}"), st.integers(0, 5)),
    )
)


@given(HISTORY)
def test_each_call_that_a_model_is_shown_has_an_answer(history: list[BaseMessage]) -> None:
    shown = answered(history)
    answers = {message.tool_call_id for message in shown if isinstance(message, ToolMessage)}
    assert all(call["id"] in answers for one in shown if isinstance(one, AIMessage) for call in one.tool_calls)
    kept = iter(shown)
    assert all(any(one is message for one in kept) for message in history)
    assert loaded(saved(shown)) == shown
