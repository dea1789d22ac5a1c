"""Agents of `openai-agents` that other agents run as tools: what they wait for, and what they spend."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agents.usage import Usage
from openai.types.responses import Response

from responses_stream.agents.bridges.openai_agents import bridge

from .serving import serving
from .test_openai_agents import said_to, weather
from .test_openai_agents_waiting import approval, brief, delete, deletes, request_in

set_tracing_disabled(True)


def spent(read: int, written: int) -> Usage:
    return Usage(requests=1, input_tokens=read, output_tokens=written, total_tokens=read + written)


def outer(inner: ScriptedModel, *others: Any) -> tuple[Agent[None], ScriptedModel]:
    """Return an agent that asks another, which has *inner* as its model, together with calls of *others*."""
    tool = Agent(name="Inner", tools=[delete], model=inner).as_tool("ask", "Asks.")
    calls = [function_call("ask", {"input": "tidy"}, call_id="call_o"), *others]
    model = ScriptedModel([ModelStep(output=calls, usage=spent(1, 2)), ModelStep(output=DONE, usage=spent(1, 2))])
    return Agent(name="Outer", tools=[tool, weather], model=model), model


DONE = [assistant_message("Done.")]


def tokens(answer: Response) -> tuple[int, int]:
    assert answer.usage is not None
    return answer.usage.input_tokens, answer.usage.output_tokens


@pytest.mark.parametrize(("approve", "outcome"), [(True, "-> deleted a"), (False, "-> I need it")])
def test_an_agent_that_is_a_tool_waits_for_an_approval(approve: bool, outcome: str) -> None:
    """Its call is told when it has answered, and not as one that failed while it waits."""
    inner = ScriptedModel([deletes("a"), [assistant_message("So be it.")]])
    agent, model = outer(inner, function_call("weather", {"city": "Oslo"}, call_id="call_w"))
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        assert brief(first) == ['weather({"city":"Oslo"}) sunny in Oslo', 'may I delete({"path":"a"})']
        answers = [approval(request_in(first), approve, "I need it")]
        second = served.client.responses.create(model="m", input=answers, previous_response_id=first.id)
    assert brief(second) == ['ask({"input":"tidy"}) So be it.', "Done."]
    assert said_to(inner)[-1] == outcome
    assert said_to(model)[-2:] == ["-> sunny in Oslo", "-> So be it."]


def test_an_agent_that_is_a_tool_may_ask_more_than_once() -> None:
    inner = ScriptedModel([deletes("a"), deletes("b"), [assistant_message("Both.")]])
    agent, model = outer(inner)
    with serving(bridge(agent)) as served:
        answer = served.client.responses.create(model="m", input="Tidy up")
        for path in ("a", "b"):
            assert brief(answer) == [f'may I delete({{"path":"{path}"}})']
            answers = [approval(request_in(answer))]
            answer = served.client.responses.create(model="m", input=answers, previous_response_id=answer.id)
    assert brief(answer) == ['ask({"input":"tidy"}) Both.', "Done."]
    assert said_to(model)[-1] == "-> Both."


@pytest.mark.parametrize("streamed", [False, True])
def test_what_an_agent_that_is_a_tool_spends_is_counted(streamed: bool) -> None:
    inner = ScriptedModel([ModelStep(output=[assistant_message("Tidy.")], usage=spent(100, 50))])
    agent, _ = outer(inner)
    with serving(bridge(agent)) as served:
        if streamed:
            with served.client.responses.stream(model="m", input="Tidy up") as events:
                answer: Response = events.get_final_response()
        else:
            answer = served.client.responses.create(model="m", input="Tidy up")
    assert tokens(answer) == (102, 54)


def test_each_turn_of_a_run_that_waits_tells_what_it_has_spent_itself() -> None:
    inner = ScriptedModel(
        [
            ModelStep(output=deletes("a"), usage=spent(10, 20)),
            ModelStep(output=[assistant_message("Gone.")], usage=spent(30, 40)),
        ]
    )
    agent, _ = outer(inner)
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        answers = [approval(request_in(first))]
        second = served.client.responses.create(model="m", input=answers, previous_response_id=first.id)
    assert (tokens(first), tokens(second)) == ((11, 22), (31, 42))


def test_what_was_spent_before_a_failure_is_told() -> None:
    @function_tool(failure_error_function=None)
    def burn() -> str:
        raise RuntimeError("no matches")

    inner = ScriptedModel([ModelStep(output=[assistant_message("Tidy.")], usage=spent(100, 50))])
    agent, _ = outer(inner)
    agent.tools.append(burn)
    asks, burns = function_call("ask", {"input": "tidy"}, call_id="call_o"), function_call("burn", {}, call_id="call_b")
    agent.model = ScriptedModel(
        [ModelStep(output=[asks], usage=spent(1, 2)), ModelStep(output=[burns], usage=spent(3, 4))]
    )
    with serving(bridge(agent)) as served:
        answer = served.client.responses.create(model="m", input="Tidy up")
    assert (answer.status, tokens(answer)) == ("failed", (104, 56))
