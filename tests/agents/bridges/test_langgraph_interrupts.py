"""Graphs that are interrupted: their questions to the client, its answers, and branches that answer differently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from openai.types.responses import Response

from responses_stream.agents.bridges.langgraph import bridge

from .scripted_chat import ScriptedChat, call, words
from .serving import serving
from .test_langgraph import brief, weather
from .test_openai_agents_waiting import approval, request_in, requests_in


@tool
def delete(path: str) -> str:
    """Deletes."""
    return f"deleted {path}"


@tool
def ask_user(question: str) -> str:
    """Asks."""
    return f"they say {interrupt({'question': question})}"


def keeper(*scripts: list[Any], mode: str = "batched") -> tuple[Any, ScriptedChat]:
    model = ScriptedChat(scripts=list(scripts))
    asks: Any = HumanInTheLoopMiddleware({"delete": True}, interrupt_mode=mode)  # type: ignore[arg-type]  # a parameter
    tools = [weather, delete, ask_user]
    return create_agent(model, tools=tools, middleware=[asks], checkpointer=InMemorySaver()), model


def said(answer: Response) -> list[str]:
    """Return what *answer* says, a line for each item."""
    lines = []
    for item in answer.output:
        plain: Any = item.to_dict()
        match plain["type"]:
            case "mcp_call":
                output = plain["output"] or f"failed: {plain['error']['content'][0]['text']}"
                lines.append(f"{plain['name']} {json.loads(plain['arguments'])} {output}")
            case "mcp_approval_request":
                lines.append(f"may I {plain['name']} {json.loads(plain['arguments'])}")
            case "function_call":
                lines.append(f"do {plain['name']} {json.loads(plain['arguments'])}")
            case _:
                lines.append(plain["content"][0]["text"])
    return lines


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_an_approval_lets_the_graph_go_on(mode: str) -> None:
    calls = [
        *call("weather", '{"city": "Oslo"}', "call_w"),
        *call("delete", '{"path": "a"}', "call_a", 1),
        *call("delete", '{"path": "b"}', "call_b", 2),
    ]
    graph, model = keeper([*words("Let me see."), *calls], words("Done."), mode=mode)
    with serving(bridge(graph)) as served:
        with served.client.responses.stream(model="m", input="Tidy up") as events:
            first = events.get_final_response()
        asked = ["may I delete {'path': 'a'}", "may I delete {'path': 'b'}"]
        ran = ["weather {'city': 'Oslo'} sunny in Oslo"] if mode == "per_call" else []
        assert said(first) == ["Let me see.", *ran, *asked]
        one, other = requests_in(first)
        answers = [approval(one), approval(other, False, "I need it")]
        with served.client.responses.stream(model="m", input=answers, previous_response_id=first.id) as events:
            second = events.get_final_response()
        refusal = "User rejected the tool call for `delete` with reason: I need it"
        assert "delete {'path': 'a'} deleted a" in said(second)
        assert f"delete {{'path': 'b'}} failed: {refusal}" in said(second)
        assert second.output_text == "Done."
    assert {f"-> {refusal}", "-> deleted a", "-> sunny in Oslo"} <= set(brief(model.asked[-1]))


def test_a_question_is_a_call_that_the_client_answers() -> None:
    graph, model = keeper(call("ask_user", '{"question": "why"}', "call_1"), words("I see."))
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Find out")
        assert said(first) == ["do interrupt {'question': 'why'}"]
        [made] = first.output
        assert made.type == "function_call"
        output: Any = {"type": "function_call_output", "call_id": made.call_id, "output": '{"because": 42}'}
        more: Any = {"role": "user", "content": "And hurry"}
        refused = served.client.responses.create(model="m", input=[output, more], previous_response_id=first.id)
        assert refused.error is not None
        assert refused.error.code == "invalid_prompt"
        second = served.client.responses.create(model="m", input=[output], previous_response_id=first.id)
        assert said(second) == ["ask_user {'question': 'why'} they say {'because': 42}", "I see."]
    assert brief(model.asked[-1])[-1] == "-> they say {'because': 42}"


def test_branches_answer_the_same_question_each_for_itself() -> None:
    """The graph keeps answers beside its checkpoint; a branch must not find that of another."""
    graph, model = keeper(call("delete", '{"path": "a"}', "call_1"), *[words("Well.")] * 4)
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        request = request_in(first)
        told = []
        for answer in (approval(request), approval(request, False, "no"), approval(request)):
            served.client.responses.create(model="m", input=[answer], previous_response_id=first.id)
            told.append(brief(model.asked[-1])[-1])
        served.client.responses.create(model="m", input="Never mind", previous_response_id=first.id)
        told += brief(model.asked[-1])[-2:]
    refusal = "-> User rejected the tool call for `delete` with reason: no"
    assert told == ["-> deleted a", refusal, "-> deleted a", "-> The call was not answered.", "Never mind"]


def test_a_question_of_a_subgraph_is_answered_in_each_branch() -> None:
    runs: list[str] = []

    def before(state: MessagesState) -> dict[str, Any]:
        assert state["messages"]
        runs.append("before")
        return {}

    inner = StateGraph(MessagesState)
    inner.add_node("before", before)
    inner.add_node("ask", lambda _: {"messages": [("ai", f"You say {interrupt('sure?')}.")]})
    inner.add_edge(START, "before")
    inner.add_edge("before", "ask")
    outer = StateGraph(MessagesState)
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    with serving(bridge(outer.compile(checkpointer=InMemorySaver()))) as served:
        first = served.client.responses.create(model="m", input="Go")
        assert said(first) == ["do interrupt {'value': 'sure?'}"]
        [made] = first.output
        assert made.type == "function_call"
        told = []
        for text in ("yes", "no"):
            sent: Any = [{"type": "function_call_output", "call_id": made.call_id, "output": text}]
            answer = served.client.responses.create(model="m", input=sent, previous_response_id=first.id)
            told.append(answer.output_text)
    assert (told, runs) == (["You say yes.", "You say no."], ["before"])


def test_one_question_after_the_other() -> None:
    calls = [
        *call("ask_user", '{"question": "who"}', "call_1"),
        *call("ask_user", '{"question": "when"}', "call_2", 1),
    ]
    graph, model = keeper(calls, words("I see."))
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Find out")
        assert sorted(said(first)) == ["do interrupt {'question': 'when'}", "do interrupt {'question': 'who'}"]
        [who] = [item for item in first.output if item.type == "function_call" and "who" in item.arguments]
        sent: Any = [{"type": "function_call_output", "call_id": who.call_id, "output": "me"}]
        second = served.client.responses.create(model="m", input=sent, previous_response_id=first.id)
        assert said(second) == ["ask_user {'question': 'who'} they say me", "do interrupt {'question': 'when'}"]
        [when] = [item for item in second.output if item.type == "function_call"]
        sent = [{"type": "function_call_output", "call_id": when.call_id, "output": "now"}]
        third = served.client.responses.create(model="m", input=sent, previous_response_id=second.id)
        assert said(third) == ["ask_user {'question': 'when'} they say now", "I see."]
    assert brief(model.asked[-1])[-2:] == ["-> they say me", "-> they say now"]
