"""`render`, `render_stream` and `said_on`: which content is which item, and what is told of a run that fails."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from typing import Any

import anyio
import httpx2
import openai
import pytest

from responses_stream import ResponseEventStream, ResponseObject, accumulate, encode_stream, validate_events
from responses_stream.agents.contents import (
    ApprovalRequest,
    ApprovalResponse,
    CodeInterpreter,
    FunctionCall,
    FunctionResult,
    Image,
    Incomplete,
    Media,
    Reasoning,
    Refusal,
    Result,
    Said,
    Shell,
    ShellResult,
    Text,
    ToolCall,
    ToolResult,
    Update,
    Usage,
)
from responses_stream.agents.rendering import RunFailed, ToolCalls, render, render_stream, said_on
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseFailedEvent, ResponseStreamEvent
from responses_stream.protocol.parts import Logprob
from responses_stream.protocol.response import ResponseUsage

LOGGER = "responses_stream"
SECRET = "the password is 1234"


def events_of(said: Iterable[Said], **options: Any) -> list[ResponseStreamEvent]:
    """Return the events of what is said, to which the strict profile has no objection."""
    events = list(render_stream(said, response_id="resp_1", **options))
    report = validate_events([to_builtins(event) for event in events], profile="strict")
    assert not report.violations, report
    return events


def names(events: Iterable[ResponseStreamEvent]) -> list[str]:
    """Return the types of *events*, without their prefix, and without those of the response itself."""
    short = [str(event.type).removeprefix("response.") for event in events]
    return short[2:-1]


def items_of(*said: Said, **options: Any) -> list[dict[str, Any]]:
    """Return the items of what is said, without their ids."""
    response = accumulate(events_of(said, **options))
    return [{name: value for name, value in to_builtins(item).items() if name != "id"} for item in response.output]


def texts_of(*said: Said) -> list[str]:
    """Return the text of each message."""
    return ["".join(part["text"] for part in item["content"]) for item in items_of(*said) if item["type"] == "message"]


class TestText:
    def test_pieces_that_follow_each_other_are_one_message(self) -> None:
        events = events_of(["Hel", Text("lo"), Update(["!"])])
        assert names(events) == [
            *("output_item.added", "content_part.added", *["output_text.delta"] * 3),
            *("output_text.done", "content_part.done", "output_item.done"),
        ]
        assert accumulate(events).output_text == "Hello!"

    def test_something_else_ends_the_message(self) -> None:
        assert texts_of("one", Reasoning("hm"), "two") == ["one", "two"]

    def test_usage_does_not_end_the_message(self) -> None:
        assert texts_of("one", Usage(1, 1), "two") == ["onetwo"]

    def test_another_message_id_is_another_message(self) -> None:
        said = Text("a", message_id="1"), Text("b"), Text("c", message_id="1"), Text("d", message_id="2")
        assert texts_of(*said) == ["abc", "d"]

    @pytest.mark.parametrize("said", [[], [""], [Text("")], [Refusal("")], [Reasoning("")], [Update([])]])
    def test_nothing_is_said_of_nothing(self, said: list[Said]) -> None:
        assert names(events_of(said)) == []

    def test_the_first_piece_tells_the_phase_also_where_it_is_empty(self) -> None:
        (message,) = items_of(Text("", phase="commentary", message_id="1"), Text("a", message_id="1"), "b")
        assert (message["phase"], message["content"][0]["text"]) == ("commentary", "ab")

    def test_an_empty_piece_with_another_id_ends_the_message(self) -> None:
        said = Text("a", message_id="1"), Text("", message_id="2", phase="final_answer"), Text("b")
        assert [item.get("phase") for item in items_of(*said)] == [None, "final_answer"]

    def test_citations_stand_in_the_text_so_far(self) -> None:
        cited = {"type": "url_citation", "url": "http://x", "title": "x", "start_index": 0, "end_index": 2}
        events = events_of(["a", Text("b", annotations=[cited])])
        assert "output_text.annotation.added" in names(events)
        assert items_of("a", Text("b"), Text("", annotations=[cited]))[0]["content"][0]["annotations"] == [cited]

    def test_log_probabilities_are_passed_on(self) -> None:
        (message,) = items_of(Text("a", logprobs=[Logprob(token="a", logprob=-1.5)]))
        assert [found["token"] for found in message["content"][0]["logprobs"]] == ["a"]
        (plain,) = items_of(Text("a", logprobs=[{"token": "a", "logprob": -1.5}]))
        assert plain == message

    def test_a_refusal_is_a_part_of_its_message(self) -> None:
        (message,) = items_of("I ", Refusal("can"), Refusal("not"), "sorry")
        assert [part["type"] for part in message["content"]] == ["output_text", "refusal", "output_text"]
        assert message["content"][1]["refusal"] == "cannot"


class TestReasoning:
    def test_raw_thoughts_and_their_summary_are_one_item(self) -> None:
        said = Reasoning("a"), Reasoning("b"), Reasoning("c", summary=True), Reasoning("d", summary=True, begins=True)
        (item,) = items_of(*said, Reasoning(encrypted_content="sealed"))
        assert [part["text"] for part in item["content"]] == ["ab"]
        assert [part["text"] for part in item["summary"]] == ["c", "d"]
        assert item["encrypted_content"] == "sealed"

    def test_an_empty_piece_may_begin_a_part(self) -> None:
        said = Reasoning("a", summary=True), Reasoning(summary=True, begins=True), Reasoning("b", summary=True)
        assert [part["text"] for part in items_of(*said)[0]["summary"]] == ["a", "b"]

    def test_another_reasoning_id_is_another_item(self) -> None:
        said = Reasoning("a", reasoning_id="1"), Reasoning("b"), Reasoning("c", reasoning_id="2")
        assert [item["content"][0]["text"] for item in items_of(*said)] == ["ab", "c"]

    def test_the_sealed_form_may_be_all_there_is(self) -> None:
        (item,) = items_of(Reasoning(encrypted_content="sealed"))
        assert (item["summary"], item["encrypted_content"]) == ([], "sealed")


class TestCallsOfTheClient:
    def test_pieces_of_a_call_are_its_deltas(self) -> None:
        events = events_of([FunctionCall("c1", "look", '{"at"'), FunctionCall("c1", arguments=": 1}")])
        assert names(events) == [
            *("output_item.added", *["function_call_arguments.delta"] * 2),
            *("function_call_arguments.done", "output_item.done"),
        ]

    def test_calls_may_come_in_turns(self) -> None:
        said = [FunctionCall("1", "a", '{"x"'), FunctionCall("2", "b", "{"), FunctionCall("1", arguments=":1}")]
        items = items_of(*said, FunctionCall("2", arguments="}"))
        assert [(item["call_id"], item["arguments"]) for item in items] == [("1", '{"x":1}'), ("2", "{}")]

    @pytest.mark.parametrize("further", [FunctionCall("2", "b"), ToolCall("2", "b", "{}")])
    @pytest.mark.parametrize("tool_calls", ["hosted", "function"])
    def test_a_call_that_has_all_of_its_arguments_ends_with_the_next(
        self, further: FunctionCall | ToolCall, tool_calls: ToolCalls
    ) -> None:
        seen: list[str] = []

        def pausing() -> Iterator[Said]:
            yield FunctionCall("1", "a", "{}")
            yield further
            seen.append("asked for more")

        for event in render_stream(pausing(), response_id="r", tool_calls=tool_calls):
            if event.type.startswith("response.output_item."):
                seen.append(event.type.removeprefix("response.output_item."))  # noqa: PERF401 - so does the speaker
        assert seen[:3] == ["added", "done", "added"]

    def test_no_arguments_are_an_empty_object(self) -> None:
        assert items_of(FunctionCall("1", "now"))[0]["arguments"] == "{}"
        assert items_of(FunctionCall("1", "now", custom=True))[0]["input"] == ""

    def test_an_answer_ends_its_call(self) -> None:
        items = items_of(FunctionCall("1", "a", "{"), FunctionCall("1", arguments="}"), FunctionResult("1", "sun"))
        assert [item["type"] for item in items] == ["function_call", "function_call_output"]
        parts = [{"type": "input_text", "text": "x"}]
        items = items_of(FunctionCall("1", "sh", "ls", custom=True), FunctionResult("1", parts, custom=True))
        assert [item["type"] for item in items] == ["custom_tool_call", "custom_tool_call_output"]
        assert items[1]["output"] == parts

    def test_what_is_answered_may_have_been_asked_before(self) -> None:
        request = {"model": "m", "previous_response_id": "resp_0"}
        events = list(render_stream([FunctionResult("0", "late")], response_id="r", request=request))
        assert accumulate(events).output[0].type == "function_call_output"

    @pytest.mark.parametrize("between", ["text", FunctionResult("1", "x")])
    def test_no_piece_follows_a_call_that_has_ended(self, between: Said) -> None:
        said: list[Said] = [FunctionCall("1", "a", "{"), between, FunctionCall("1", arguments="}")]
        with pytest.raises(InvalidValue, match="'1' is of a call that has ended"):
            render(said, response_id="r")
        render([FunctionCall("1", "a", "{}"), between, FunctionCall("1", arguments=" \n")], response_id="r")

    def test_the_first_piece_has_the_name(self) -> None:
        for said in (FunctionCall("1"), ToolCall("1")):
            with pytest.raises(InvalidValue, match=r"name: is missing in the first piece of the \w+ '1'"):
                render([said], response_id="r")


class TestToolsOfTheAgent:
    def test_a_call_and_its_result_are_one_item(self) -> None:
        events = events_of([ToolCall("t", "look", '{"a"'), ToolCall("t", arguments=":1}"), ToolResult("t", "sun")])
        assert names(events) == [
            *("output_item.added", "mcp_call.in_progress", *["mcp_call_arguments.delta"] * 2),
            *("mcp_call_arguments.done", "mcp_call.completed", "output_item.done"),
        ]
        (item,) = to_builtins(accumulate(events))["output"]
        assert (item["name"], item["arguments"], item["output"]) == ("look", '{"a":1}', "sun")
        assert (item["server_label"], item["status"], item["error"]) == ("agent", "completed", None)

    def test_whose_tool_it_is_is_said_or_it_is_the_model_s(self) -> None:
        items = items_of(ToolCall("1", "a", "{}", "files"), ToolCall("2", "a", "{}"), model="tutor")
        assert [item["server_label"] for item in items] == ["files", "tutor"]

    def test_a_failed_call_tells_why(self) -> None:
        (item,) = items_of(ToolCall("t", "look", "{}"), ToolResult("t", "half", error="no light"))
        assert (item["status"], item["output"]) == ("failed", "half")
        assert item["error"] == {
            "type": "mcp_tool_execution_error",
            "content": [{"type": "text", "text": "no light"}],
        }

    def test_the_call_is_on_the_wire_while_the_tool_runs(self) -> None:
        source = _pausing(ToolCall("t", "look", "{}"), "meanwhile")
        types = [event.type for event in render_stream(source, response_id="r")][:5]
        assert types[-1] == "response.mcp_call_arguments.delta"

    def test_what_is_said_meanwhile_waits(self) -> None:
        items = items_of(
            ToolCall("1", "a"), ToolCall("2", "b"), "meanwhile", ToolResult("2", "B"), ToolResult("1", "A")
        )
        assert [item.get("output") or item["content"][0]["text"] for item in items] == ["A", "B", "meanwhile"]

    def test_a_call_that_nobody_answers_has_failed(self) -> None:
        items = items_of(ToolCall("1", "a", "{}"), "so what")
        assert [item["status"] for item in items] == ["failed", "completed"]

    def test_a_result_without_a_call_is_told(self) -> None:
        items = items_of(ToolCall("1", "a"), ToolResult("1", "x"), ToolResult("1", "y"), ToolResult("2", "z"))
        assert [(item["name"], item["output"]) for item in items] == [("a", "x"), ("a", "y"), ("tool", "z")]

    def test_they_can_look_like_functions(self) -> None:
        said: list[Said] = [ToolCall("1", "a", '{"x"'), "meanwhile", ToolCall("1", arguments=":1}"), ToolCall("2", "b")]
        items = items_of(*said, ToolResult("2", "out", "err"), ToolResult("1", "A"), tool_calls="function")
        assert [item["type"] for item in items] == [
            *("function_call", "message", "function_call", "function_call_output", "function_call_output")
        ]
        assert [item["output"] for item in items[3:]] == ["out\nerr", "A"]

    def test_they_can_be_hidden(self) -> None:
        said: list[Said] = ["one", ToolCall("1", "a"), ToolCall("1", arguments="{}"), ToolResult("1", "x"), "two"]
        items = items_of(*said, tool_calls="hidden")
        assert [item["type"] for item in items] == ["message", "message"]

    def test_there_is_no_fourth_way(self) -> None:
        tool_calls: Any = "shouted"
        with pytest.raises(InvalidValue, match="tool_calls"):
            render_stream([], response_id="r", tool_calls=tool_calls)


class TestOtherContents:
    def test_code_is_one_item_with_its_outputs(self) -> None:
        outputs = [{"type": "logs", "logs": "2"}]
        said = [
            CodeInterpreter("c", "1", container_id="box"),
            CodeInterpreter("c", "+1"),
            CodeInterpreter("c", "", outputs),
        ]
        (item,) = items_of(*said)
        assert (item["code"], item["outputs"], item["container_id"]) == ("1+1", outputs, "box")

    def test_code_whose_outputs_nobody_tells_ran(self) -> None:
        (item,) = items_of(CodeInterpreter("c", "1"))
        assert (item["status"], item["outputs"]) == ("completed", None)

    def test_an_image_shows_at_most_three_partial_ones(self) -> None:
        events = events_of([*[Image("i", partial="cGFydA==")] * 5, Image("i", result="aGk=")])
        assert names(events).count("image_generation_call.partial_image") == 3
        (item,) = to_builtins(accumulate(events))["output"]
        assert (item["result"], item["status"]) == ("aGk=", "completed")

    def test_an_image_that_never_came_has_failed(self) -> None:
        assert [item["status"] for item in items_of(Image("i", partial="cGFydA=="), "sorry")] == ["failed", "completed"]

    def test_commands_and_what_they_printed(self) -> None:
        printed = [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}}]
        call, output = items_of(Shell("s", ["ls"]), ShellResult("s", printed))
        assert (call["type"], call["action"]["commands"]) == ("shell_call", ["ls"])
        assert (output["type"], output["output"]) == ("shell_call_output", printed)

    def test_the_answer_to_an_approval_names_its_item(self) -> None:
        said = ApprovalRequest("apr_1", "drop", '{"table": 1}'), ApprovalResponse("apr_1", False, "no way")
        request, response = (to_builtins(item) for item in render(said, response_id="r").output)
        assert (request["id"], request["server_label"]) == ("apr_1", "agent")
        assert (response["approval_request_id"], response["approve"]) == ("apr_1", False)

    @pytest.mark.parametrize(
        ("uri", "kind", "result", "form"),
        [
            ("data:image/png;base64,aGk=", None, "aGk=", "png"),
            ("data:image/svg+xml,%3Csvg/%3E", None, "PHN2Zy8+", None),
            ("data:;base64,aGk=", "image/webp", "aGk=", "webp"),
        ],
    )
    def test_an_image_that_is_there_is_an_image(
        self, uri: str, kind: str | None, result: str, form: str | None
    ) -> None:
        (item,) = items_of(Media(uri, kind))
        assert (item["type"], item["result"], item.get("output_format")) == ("image_generation_call", result, form)

    def test_other_media_are_text(self) -> None:
        page, note, path = items_of(
            Media("https://x/a.png", "image/png", "a plot"),
            Media("data:text/plain,hi", name="note"),
            Media("file:///a"),
        )
        (cited,) = page["content"][0]["annotations"]
        assert (page["content"][0]["text"], cited["url"], cited["end_index"]) == ("a plot", "https://x/a.png", 6)
        assert note["content"][0]["text"] == "note: data:text/plain,hi"
        assert path["content"][0]["text"] == "file:///a"

    def test_usage_adds_up(self) -> None:
        response = accumulate(events_of(["a", Usage(10, 5, 2, 1), Usage(1, 1), Usage(0, 0, 99, 99)]))
        usage = to_builtins(response)["usage"]
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (11, 6, 17)
        assert usage["input_tokens_details"]["cached_tokens"] == 11
        assert usage["output_tokens_details"]["reasoning_tokens"] == 6
        assert accumulate(events_of(["a"])).usage is None

    def test_usage_is_counted(self) -> None:
        with pytest.raises(InvalidValue, match="input_tokens: is negative"):
            render([Usage(-1)], response_id="r")


class TestItemsOfTheProtocol:
    def test_they_are_said_as_they_are(self) -> None:
        item = {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        }
        unknown = {"type": "acme:thing", "id": "a", "status": "completed", "what": 1}
        response = accumulate(events_of([item, unknown]))
        assert [to_builtins(found) for found in response.output] == [item, unknown]
        assert [to_builtins(found) for found in render(response.output, response_id="r").output] == [item, unknown]

    def test_a_later_form_stands_for_an_earlier_one(self, caplog: pytest.LogCaptureFixture) -> None:
        early, late = ({"type": "acme:thing", "id": "a", "n": n} for n in (1, 2))
        assert [item["n"] for item in items_of(early, late)] == [2]
        waiting: list[Said] = [ToolCall("t", "a"), early, "text", late, ToolResult("t", "x")]
        assert [item.get("n") for item in items_of(*waiting)] == [None, 2, None]
        assert [item.get("n") for item in to_builtins(render([early, "text", late], response_id="r"))["output"]] == [
            2,
            None,
        ]
        with caplog.at_level(logging.INFO, LOGGER):
            assert [item.get("n") for item in items_of(early, "text", late)] == [1, None]
        assert "left out a later form of the item a" in caplog.text

    def test_one_that_is_incomplete_ends_the_response(self) -> None:
        item = {"type": "acme:thing", "id": "a", "status": "incomplete"}
        events = events_of([item])
        assert events[-1].type == "response.incomplete"

    def test_one_that_cannot_be_is_refused(self, caplog: pytest.LogCaptureFixture) -> None:
        events = events_of(["text", {"type": "item_reference", "id": "a"}])
        assert events[-1].type == "response.failed"
        assert accumulate(events).output_text == "text"
        assert "R080" in caplog.text


class TestTheModel:
    @pytest.mark.parametrize(
        ("said", "options", "model"),
        [
            (["a"], {}, "agent"),
            ([Update(["a"])], {}, "agent"),
            ([Update(["a"], "m-1"), Update(["b"], "m-2")], {}, "m-1"),
            (["a", Update(["b"], "m-2")], {}, "agent"),
            ([Update(["a"], "m-1")], {"request": {"model": "asked"}}, "m-1"),
            (["a"], {"request": {"model": "asked"}}, "asked"),
            ([Update(["a"], "m-1")], {"model": "given", "request": {"model": "asked"}}, "given"),
            ([], {}, "agent"),
        ],
    )
    def test_where_it_comes_from(self, said: list[Said], options: dict[str, Any], model: str) -> None:
        events = events_of(said, **options)
        assert {event.response.model for event in events if hasattr(event, "response")} == {model}
        assert render(said, response_id="r", **options).model == model

    def test_a_result_knows_its_own(self) -> None:
        assert render(Result(["a"], model="m-1"), response_id="r").model == "m-1"
        assert render(Result([Update(["a"], "m-2")]), response_id="r").model == "m-2"
        assert render(Result(["a"], model="m-1"), response_id="r", model="given").model == "given"

    @pytest.mark.parametrize(("model", "asked"), [("given", 0), (None, 1)])
    def test_a_response_whose_model_is_known_is_created_before_the_agent_is_asked(
        self, model: str | None, asked: int
    ) -> None:
        count = 0

        def speaking() -> Iterator[Said]:
            nonlocal count
            count += 1
            yield "a"

        events = iter(render_stream(speaking(), response_id="r", model=model))
        assert next(events).type == "response.created"
        assert count == asked


class TestEnds:
    def test_an_agent_may_have_to_stop(self) -> None:
        events = events_of(["a", Incomplete("content_filter"), Usage(1, 1)])
        response = accumulate(events)
        assert (response.status, response.output_text) == ("incomplete", "a")
        assert to_builtins(response.output[0])["status"] == "incomplete"
        assert response.usage

    def test_nothing_follows_its_stop(self) -> None:
        with pytest.raises(InvalidValue, match="goes on with Text"):
            render([Incomplete(), Text("a")], response_id="r")

    def test_half_a_call_is_incomplete_and_what_stands_behind_it_left_out(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        events = events_of([FunctionCall("1", "a", '{"x'), FunctionCall("2", "b", "{}"), Incomplete()])
        assert [to_builtins(item)["status"] for item in accumulate(events).output] == ["incomplete"]
        assert "left out 1 items behind a call that broke off" in caplog.text

    @pytest.mark.parametrize("model", ["given", None])
    @pytest.mark.parametrize("first", [[], ["par", "tial"]])
    def test_a_failure_leaves_what_was_said_and_not_why(
        self, first: list[Said], model: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        events = events_of(_failing(first, RuntimeError(SECRET)), model=model)
        assert [str(event.type) for event in events[-2:]] == ["error", "response.failed"]
        response = accumulate(events)
        assert (response.status, response.output_text) == ("failed", "".join(map(str, first)))
        assert SECRET not in repr(events)
        assert SECRET in caplog.text

    def test_a_failure_on_purpose_is_told(self) -> None:
        events = events_of(_failing(["par", Usage(1, 1)], RunFailed("rate_limit_exceeded", "Slow down.")))
        error: Any = events[-2]
        assert (error.code, error.message) == ("rate_limit_exceeded", "Slow down.")
        response = accumulate(events)
        assert to_builtins(response)["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
        assert response.output_text == "par"
        assert response.usage

    def test_a_failure_on_purpose_may_come_out_of_a_task_group(self) -> None:
        group = ExceptionGroup("unhandled", [ExceptionGroup("inner", [RunFailed("busy", "Later.")])])
        assert to_builtins(accumulate(events_of(_failing([], group))))["error"]["code"] == "busy"
        two = ExceptionGroup("unhandled", [RunFailed("busy", "Later."), ValueError(SECRET)])
        assert to_builtins(accumulate(events_of(_failing([], two))))["error"]["code"] == "server_error"

    def test_what_stands_behind_an_unanswered_call_is_left_as_well(self) -> None:
        response = accumulate(events_of(_failing([ToolCall("1", "a", '{"'), "text"], RuntimeError())))
        assert [to_builtins(item)["status"] for item in response.output] == ["failed", "incomplete"]
        assert response.output_text == "text"

    def test_a_piece_that_waited_and_cannot_be_said_harms_nothing_before_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        said: list[Said] = [ToolCall("1", "a"), {"type": "item_reference", "id": "x"}, "behind", ToolResult("1", "A")]
        events = events_of(said)
        response = accumulate(events)
        assert [item.type for item in response.output] == ["mcp_call", "message"]
        assert response.status == "failed"
        assert "R080" in caplog.text

    def test_nor_what_comes_behind_it(self) -> None:
        said: list[Said] = [ToolCall("1", "a"), "one", Text("\ud800"), " two", ToolResult("1", "A"), "three"]
        response = accumulate(events_of(said))
        assert (response.status, response.output_text) == ("failed", "one two")
        assert [to_builtins(item)["status"] for item in response.output] == ["completed", "completed"]

    @pytest.mark.parametrize("said", [3, None, b"text", object(), ["nested"]])
    def test_what_an_agent_may_not_say_is_named(self, said: Any) -> None:
        with pytest.raises(InvalidType, match=f"got {type(said).__name__}"):
            render([said], response_id="r")

    def test_one_content_is_enough_for_an_update(self) -> None:
        alone: Any = [Update("text"), Update({"type": "acme:thing", "id": "a"}), Update(Usage(1, 1))]  # type: ignore[arg-type]  # as people write it
        assert [item["type"] for item in items_of(*alone)] == ["message", "acme:thing"]

    @pytest.mark.parametrize("updates", [3, b"text", {"type": "message"}, None])
    def test_what_is_not_a_speech_is_refused_at_once(self, updates: Any) -> None:
        for render_some in (render_stream, render):
            with pytest.raises(InvalidType, match="updates"):
                render_some(updates, response_id="r")

    def test_a_string_is_a_speech(self) -> None:
        events = events_of("Hello")
        assert names(events).count("output_text.delta") == 1
        assert render("Hello", response_id="r").output_text == "Hello"

    def test_said_on_raises_what_the_agent_raises(self) -> None:
        events = iter(said_on(ResponseEventStream("r"), _failing(["a"], KeyError(1))))
        types = [next(events).type for _ in range(10)]
        assert types[-3:] == ["response.output_item.done", "error", "response.failed"]
        with pytest.raises(KeyError):
            next(events)

    def test_the_tokens_of_a_run_that_failed_are_told(self) -> None:
        *_, last = render_stream(_failing(["a", Usage(3, 2)], KeyError(1)), response_id="r")
        assert isinstance(last, ResponseFailedEvent)
        assert last.response.usage == ResponseUsage(input_tokens=3, output_tokens=2, total_tokens=5)

    def test_render_raises_what_the_speech_raises(self) -> None:
        with pytest.raises(KeyError):
            render(_failing(["a"], KeyError(1)), response_id="r")
        with pytest.raises(RunFailed):
            render(_failing(["a"], RunFailed("a", "b")), response_id="r")

    def test_a_failure_on_purpose_says_something(self) -> None:
        with pytest.raises(InvalidValue, match="code"):
            RunFailed("", "x")


@pytest.mark.parametrize("tool_calls", ["hosted", "function", "hidden"])
def test_the_openai_client_reads_all_of_it(tool_calls: ToolCalls) -> None:
    printed = [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    said: list[Said] = [
        *("Hi", Reasoning("t"), Reasoning("s", summary=True)),
        *(ToolCall("t1", "look"), ToolResult("t1", "sun"), ToolCall("t2", "look"), ToolResult("t2", error="dark")),
        *(FunctionCall("f1", "ask"), FunctionResult("f1", "yes"), FunctionCall("f2", "sh", "ls", custom=True)),
        *(CodeInterpreter("c", "1", [{"type": "logs", "logs": "1"}]), Image("i", partial="aGk="), Image("i", "aGk=")),
        *(Shell("s", ["ls"]), ShellResult("s", printed), ApprovalRequest("apr_1", "drop", "{}")),
        *(Media("https://x"), Refusal("no"), Usage(1, 1), "Bye"),
    ]
    body = b"".join(encode_stream(render_stream(said, response_id="resp_1", model="m", tool_calls=tool_calls)))
    answer = httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})
    with (
        httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http,
        openai.OpenAI(api_key="-", http_client=http).responses.stream(model="m", input="x") as stream,
    ):
        response = stream.get_final_response()
    assert response.output_text == "Hihttps://xBye"
    assert [item.type for item in response.output] == [item.type for item in accumulate(body).output]


class Speaker:
    """An agent that is no generator, as the streams of client libraries are."""

    def __init__(self, said: list[Said]) -> None:
        self.said, self.closed = said, 0

    def __iter__(self) -> Speaker:
        return self

    def __next__(self) -> Said:
        if not self.said:
            raise StopIteration
        return self.said.pop(0)

    def close(self) -> None:
        self.closed += 1


class LateSpeaker(Speaker):
    """One that is waited for."""

    __iter__ = None  # type: ignore[assignment]  # it can only be waited for

    def __aiter__(self) -> LateSpeaker:
        return self

    async def __anext__(self) -> Said:
        await anyio.lowlevel.checkpoint()
        if not self.said:
            raise StopAsyncIteration
        return self.said.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


class TestRelease:
    @pytest.mark.parametrize("count", [0, 1, 4, 99])
    def test_a_speaker_is_released(self, count: int) -> None:
        speaker = Speaker(["a", "b"])
        events = render_stream(speaker, response_id="r", model="m")
        for _ in zip(range(count), events, strict=False):
            pass
        events.close()
        assert speaker.closed

    @pytest.mark.anyio
    @pytest.mark.parametrize("count", [0, 1, 4, 99])
    @pytest.mark.parametrize("guarded", [True, False])
    async def test_a_speaker_that_is_waited_for_is_released(self, count: int, guarded: bool) -> None:
        speaker = LateSpeaker(["a", "b"])
        if guarded:
            events = render_stream(speaker, response_id="r", model="m")
        else:
            events = said_on(ResponseEventStream("r"), speaker, model="m")
        seen = 0
        if count:
            async for _ in events:
                seen += 1
                if seen == count:
                    break
        await events.aclose()
        assert speaker.closed

    @pytest.mark.anyio
    async def test_a_reader_that_is_cancelled_releases_the_agent(self) -> None:
        closed = anyio.Event()

        async def speaking() -> AsyncGenerator[Said, None]:
            try:
                yield "a"
                await anyio.sleep_forever()
            finally:
                closed.set()

        events, types = render_stream(speaking(), response_id="r"), []
        with anyio.CancelScope() as scope:
            try:
                async for event in events:
                    types.append(event.type)
                    if event.type == "response.output_text.delta":
                        scope.cancel()
            finally:
                await events.aclose()
        assert closed.is_set()
        assert types[-1] == "response.output_text.delta"

    @pytest.mark.anyio
    async def test_a_failure_is_told_to_those_who_wait(self) -> None:
        async def speaking() -> AsyncIterator[Said]:
            await anyio.lowlevel.checkpoint()
            yield "par"
            raise RunFailed("busy", "Try later.")

        response: ResponseObject = await accumulate(render_stream(speaking(), response_id="r"))
        assert (response.status, response.output_text) == ("failed", "par")


def _failing(said: Iterable[Said], error: Exception) -> Iterator[Said]:
    yield from said
    raise error


def _pausing(*said: Said) -> Generator[Said, None, None]:
    yield from said
