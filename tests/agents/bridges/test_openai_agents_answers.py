"""Requests that answer a part of what a run of `openai-agents` waits for, or say something besides."""

from __future__ import annotations

from typing import Any

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from hypothesis import example, given, settings
from hypothesis import strategies as st

from responses_stream.agents.bridges.openai_agents import bridge

from .serving import Serving, serving
from .test_openai_agents import said_to
from .test_openai_agents_waiting import DOOR, approval, brief, delete, deletes, keeper, output_of, request_in

set_tracing_disabled(True)


def calls_of(kinds: list[str]) -> list[Any]:
    """Return a call of each kind: one that somebody has to approve, or one for the client."""
    return [
        function_call("delete", {"path": str(number)}, call_id=f"call_{number}")
        if kind == "approval"
        else function_call("open_door", {"number": number}, call_id=f"call_{number}")
        for number, kind in enumerate(kinds)
    ]


ANSWERS = st.tuples(st.sets(st.integers(0, 2)), st.booleans())


def test_who_says_something_moves_on_and_who_does_not_is_asked_for_the_rest() -> None:
    """Whatever is answered when: no turn is empty, each call has one output, and nothing that was said is lost."""
    with serving(bridge(keeper()[0])) as served:

        @settings(max_examples=40, deadline=None)
        @given(
            st.lists(st.sampled_from(["approval", "function"]), min_size=1, max_size=3), st.lists(ANSWERS, max_size=3)
        )
        @example(["function", "function"], [({0}, True)])
        @example(["function", "function"], [({0}, False)])
        @example(["approval", "approval"], [({0}, True)])
        @example(["approval", "approval"], [({0}, False), (set(), True)])
        def check(kinds: list[str], turns: list[tuple[set[int], bool]]) -> None:
            answered_in_parts(served, kinds, turns)

        check()


def answered_in_parts(served: Serving, kinds: list[str], turns: list[tuple[set[int], bool]]) -> None:
    """Let an agent make calls of *kinds*, answer some of them in each turn, with a word or without, and judge that."""
    agent, model = keeper(calls_of(kinds), [assistant_message("Done.")])
    served.change(bridge(agent, client_tools=True))
    opened, told = set(range(len(kinds))), dict[int, str]()
    answer = served.client.responses.create(model="m", input="Tidy up", tools=[DOOR])
    for wanted, says in [*turns, (set[int](), True)]:
        requests = {item.arguments: item.id for item in answer.output if item.type == "mcp_approval_request"}
        asked: list[Any] = []
        for number in sorted(wanted & opened):
            if kinds[number] == "approval":
                asked.append(approval(requests[f'{{"path":"{number}"}}']))
                told[number] = f"-> deleted {number}"
            else:
                asked.append(output_of(f"call_{number}", f"opened {number}"))
                told[number] = f"-> opened {number}"
        opened -= wanted
        if says or not asked:
            asked.append({"role": "user", "content": "And hurry"})
            told |= dict.fromkeys(opened, "-> The call was not answered.")
            opened = set()
        answer = served.client.responses.create(model="m", input=asked, previous_response_id=answer.id)
        assert (answer.status, bool(answer.output)) == ("completed", True)
        again = [line for line in brief(answer) if line.startswith(("may I", "do"))]
        assert sorted(again) == sorted(
            f'may I delete({{"path":"{number}"}})'
            if kinds[number] == "approval"
            else f'do open_door({{"number":{number}}})'
            for number in opened
        )
        if not opened:
            break
    assert answer.output_text == "Done."
    lines = said_to(model)
    assert sorted(line for line in lines if line.startswith("->")) == sorted(told.values())
    assert [line for line in lines if line == "And hurry"] == [one["content"] for one in asked if "role" in one]


def test_what_was_said_before_a_run_that_still_waits_is_not_lost() -> None:
    """An agent that is a tool asks twice, and the client says something with its first answer."""
    inner = ScriptedModel([deletes("a"), deletes("b"), [assistant_message("Both.")]])
    asks = Agent(name="Inner", tools=[delete], model=inner).as_tool("tidy", "Tidies.")
    model = ScriptedModel(
        [[function_call("tidy", {"input": "all"}, call_id="call_t")], *[[assistant_message("Ok.")]] * 2]
    )
    with serving(bridge(Agent(name="Keeper", tools=[asks], model=model))) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        hurry: Any = {"role": "user", "content": "And hurry"}
        answers = [approval(request_in(first)), hurry]
        second = served.client.responses.create(model="m", input=answers, previous_response_id=first.id)
        assert brief(second) == ['may I delete({"path":"b"})']
        answers = [approval(request_in(second))]
        third = served.client.responses.create(model="m", input=answers, previous_response_id=second.id)
        assert brief(third) == ['tidy({"input":"all"}) Both.', "Ok."]
        assert said_to(model)[2:] == ["-> Both.", "And hurry"]
        served.client.responses.create(model="m", input="Never mind", previous_response_id=second.id)
    assert said_to(model)[2:] == ["-> The call was not answered.", "And hurry", "Never mind"]


def test_what_was_said_to_a_run_that_then_breaks_is_not_lost() -> None:
    @function_tool(needs_approval=True, failure_error_function=None)
    def burn(path: str) -> str:
        raise RuntimeError(f"no matches for {path}")

    calls = [
        function_call("burn", {"path": "a"}, call_id="call_b"),
        function_call("open_door", {"number": 1}, call_id="call_d"),
    ]
    model = ScriptedModel([calls, [assistant_message("Well.")]])
    with serving(bridge(Agent(name="Keeper", tools=[burn], model=model), client_tools=True)) as served:
        first = served.client.responses.create(model="m", input="Tidy up", tools=[DOOR])
        hurry: Any = {"role": "user", "content": "And hurry"}
        answers = [approval(request_in(first)), output_of("call_d", "opened"), hurry]
        second = served.client.responses.create(model="m", input=answers, previous_response_id=first.id)
        assert second.status == "failed"
        served.client.responses.create(model="m", input="Go on", previous_response_id=second.id)
    assert said_to(model)[2:] == [
        *("-> The call was not answered.", 'open_door({"number":1})', "-> opened", "And hurry", "Go on")
    ]
