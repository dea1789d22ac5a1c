"""What the contents of the Agent Framework become, kind by kind; every stream made of them is right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from agent_framework import AgentResponseUpdate, ChatResponseUpdate, Content
from hypothesis import given
from hypothesis import strategies as st

from responses_stream import accumulate, validate_events
from responses_stream.agents.bridges.agent_framework_events import SaidError, UpdateReader
from responses_stream.agents.bridges.agent_framework_input import Waiting
from responses_stream.agents.bridges.input_parts import failure_text
from responses_stream.agents.contents import Incomplete, Said
from responses_stream.agents.rendering import render_stream
from responses_stream.protocol.codec import to_builtins


def said_of(reader: UpdateReader, *contents: Content, **of_update: Any) -> list[Said]:
    """Return what *reader* says of an update for each of *contents*."""
    updates = [AgentResponseUpdate(contents=[content], role="assistant", **of_update) for content in contents]
    return [said for update in updates for said in reader.read(update)]


def rendered(said: Iterable[Said]) -> dict[str, Any]:
    """Return the response that *said* makes, whose events are right."""
    events = list(render_stream(said, response_id="resp_1", model="m"))
    report = validate_events(events, "strict")
    assert not report.violations, str(report)
    return to_builtins(accumulate(events))


def told(*contents: Content, live: bool = False) -> list[Any]:
    """Return the output items that *contents* make."""
    reader = UpdateReader(Waiting(), live=live)
    said = said_of(reader, *contents)
    output = rendered([*said, *reader.end()])["output"]
    assert isinstance(output, list)
    return output


def texts(items: Iterable[Any]) -> list[str]:
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


def test_text_that_stands_for_pieces_is_not_said_again() -> None:
    items = told(
        Content.from_text("Hel"),
        Content.from_text("lo"),
        Content.from_text("Hello!", merge_mode="replace"),
        Content.from_usage({"input_token_count": 1}),
        Content.from_text("Hello! ", merge_mode="replace"),
    )
    assert texts(items) == ["Hello! "]


def test_text_that_takes_another_back_is_a_message_of_its_own() -> None:
    reader = UpdateReader(Waiting())
    said = said_of(reader, Content.from_text("Hello"), Content.from_text("Goodbye", merge_mode="replace"))
    assert texts(rendered(said)["output"]) == ["Hello", "Goodbye"]
    assert [message.text for message in reader.course.messages()] == ["Goodbye"]


def test_messages_of_two_agents_are_two() -> None:
    reader = UpdateReader(Waiting())
    said = said_of(reader, Content.from_text("One."), author_name="a") + said_of(
        reader, Content.from_text("Two."), author_name="b"
    )
    assert texts(rendered(said)["output"]) == ["One.", "Two."]


def test_what_the_user_is_quoted_with_is_not_said() -> None:
    update = AgentResponseUpdate(contents=[Content.from_text("Hi")], role="user")
    assert list(UpdateReader(Waiting()).read(update)) == []


def test_the_model_is_told_with_the_first_update() -> None:
    reader = UpdateReader(Waiting())
    raw = ChatResponseUpdate(model="gpt")
    update = AgentResponseUpdate(contents=[], role="assistant", raw_representation=raw)
    said = [*reader.read(update), *reader.read(update)]
    assert [getattr(one, "model", None) for one in said] == ["gpt"]


def test_a_refusal() -> None:
    properties = {"core": {"model_output_kind": "refusal"}}
    [item] = told(
        Content.from_text("I can", additional_properties=dict(properties)),
        Content.from_text("I cannot.", additional_properties=dict(properties), merge_mode="replace"),
    )
    assert [part["refusal"] for part in item["content"]] == ["I cannot."]


def test_summed_up_and_raw_thoughts() -> None:
    items = told(
        Content.from_text_reasoning(id="rs_1", text="In short."),
        Content.from_text_reasoning(id="rs_2", text="Raw.", additional_properties={"reasoning_text": True}),
    )
    assert items[0]["summary"][0]["text"] == "In short."
    assert items[1]["content"][0]["text"] == "Raw."


def test_citations() -> None:
    region: Any = {"type": "text_span", "start_index": 0, "end_index": 4}
    [item] = told(
        Content.from_text("Rome is sunny."),
        Content.from_text(
            "",
            annotations=[
                {"type": "citation", "url": "https://a.example", "annotated_regions": [region]},
                {"type": "citation", "file_id": "file_1", "title": "b.pdf"},
                {"type": "citation", "snippet": "of nothing"},
            ],
        ),
    )
    web, file = item["content"][0]["annotations"]
    assert (web["url"], web["start_index"], web["end_index"]) == ("https://a.example", 0, 4)
    assert (file["file_id"], file["filename"], file["index"]) == ("file_1", "b.pdf", 14)


def test_calls_are_told_as_they_come_where_nobody_is_asked() -> None:
    reader = UpdateReader(Waiting(), live=True)
    first = said_of(reader, Content.from_function_call("c1", "look", arguments='{"a"'))
    second = said_of(reader, Content.from_function_call("c1", "look", arguments={"a": 1}, merge_mode="replace"))
    assert (len(first), len(second)) == (1, 1)
    result = Content.from_function_result("c1", result={"seen": True})
    [item] = rendered([*first, *second, *said_of(reader, result)])["output"]
    assert (item["type"], item["name"], item["output"]) == ("mcp_call", "look", '{"seen": true}')


def test_calls_are_told_with_their_results_where_somebody_may_be_asked() -> None:
    reader = UpdateReader(Waiting())
    assert said_of(reader, Content.from_function_call("c1", "look", arguments="{}")) == []
    failed = Content.from_function_result("c1", result="Error: no", exception="ValueError: secret")
    [item] = rendered(said_of(reader, failed))["output"]
    assert (item["type"], failure_text(item["error"])) == ("mcp_call", "Error: no")


@pytest.mark.parametrize("live", [True, False])
def test_a_model_may_name_each_call_the_same(live: bool) -> None:
    pair = [Content.from_function_call("c", "look", arguments="{}"), Content.from_function_result("c", result="seen")]
    items = told(*pair, *pair, live=live)
    assert [(item["name"], item["arguments"], item["output"]) for item in items] == [("look", "{}", "seen")] * 2


def test_a_call_that_nobody_has_run_is_for_the_client() -> None:
    [item] = told(Content.from_function_call("c1", "look", arguments='{"a": 1}'))
    assert (item["type"], item["arguments"]) == ("function_call", '{"a": 1}')


def test_a_call_that_the_service_runs_is_not() -> None:
    [item] = told(
        Content.from_function_call("c1", "look", arguments="{}", hosted=True, server_name="docs"),
        Content.from_function_result("c1", result="seen"),
    )
    assert (item["type"], item["server_label"], item["output"]) == ("mcp_call", "docs", "seen")


def test_what_waits_with_an_approval_is_remembered() -> None:
    reader = UpdateReader(Waiting())
    call = Content.from_function_call("c1", "rm", arguments='{"x": 1}', id="af-1")
    beside = Content.from_function_call("c2", "look", arguments="{}")
    said = said_of(reader, call, beside, Content.from_function_approval_request("af-1", call))
    [item] = rendered([*said, *reader.end()])["output"]
    assert (item["type"], item["id"], item["name"]) == ("mcp_approval_request", "mcpr_af-1", "rm")
    assert reader.waiting.approved == {"c1": ["rm", '{"x": 1}'], "c2": ["look", "{}"]}
    after = UpdateReader(reader.waiting)
    results = [Content.from_function_result(call_id, result="ok") for call_id in ("c1", "c2", "c3")]
    items = rendered(said_of(after, *results))["output"]
    assert [(one["name"], one["output"]) for one in items] == [("rm", "ok"), ("look", "ok")]


def test_code_and_what_it_printed() -> None:
    [item] = told(
        Content.from_code_interpreter_tool_call(call_id="ci", inputs=[Content.from_text("print(")]),
        Content.from_code_interpreter_tool_call(
            call_id="ci", inputs=[Content.from_text("print(1)", merge_mode="replace")], merge_mode="replace"
        ),
        Content.from_code_interpreter_tool_result(
            call_id="ci",
            outputs=[Content.from_text("1"), Content.from_uri("https://a.example/x.png", media_type="image/png")],
        ),
    )
    assert (item["type"], item["code"]) == ("code_interpreter_call", "print(1)")
    assert [output["type"] for output in item["outputs"]] == ["logs", "image"]


def test_an_image_and_its_first_form() -> None:
    first = Content.from_uri("data:image/png;base64,Zmlyc3Q=", additional_properties={"is_partial_image": True})
    [item] = told(
        Content.from_image_generation_tool_call(image_id="ig"),
        Content.from_image_generation_tool_result(image_id="ig", outputs=first),
        Content.from_image_generation_tool_result(
            image_id="ig", outputs=[Content.from_uri("data:image/png;base64,cG5n")]
        ),
    )
    assert (item["type"], item["result"]) == ("image_generation_call", "cG5n")


def test_tools_of_mcp_servers_and_searches() -> None:
    items = told(
        Content.from_mcp_server_tool_call("m1", "find", server_name="docs", arguments={"q": 1}),
        Content.from_mcp_server_tool_result("m1", output=[Content.from_text("found")]),
        Content.from_search_tool_call("s1", tool_name="web_search", arguments='{"q": 2}'),
        Content.from_search_tool_result("s1", tool_name="web_search", result={"hits": 3}),
    )
    assert [(item["type"], item["name"], item["arguments"], item["output"]) for item in items] == [
        ("mcp_call", "find", '{"q": 1}', "found"),
        ("mcp_call", "web_search", '{"q": 2}', '{"hits": 3}'),
    ]


def test_a_shell_and_what_it_printed() -> None:
    items = told(
        Content.from_shell_tool_call(call_id="sh", commands=["ls", "sleep 9"]),
        Content.from_shell_tool_result(
            call_id="sh",
            outputs=[
                Content.from_shell_command_output(stdout="a\n", exit_code=0),
                Content.from_shell_command_output(timed_out=True),
            ],
        ),
    )
    assert [item["type"] for item in items] == ["shell_call", "shell_call_output"]
    assert [output["outcome"]["type"] for output in items[1]["output"]] == ["exit", "timeout"]


def test_media() -> None:
    items = told(
        Content.from_data(b"png", "image/png"),
        Content.from_uri("https://a.example/song.mp3", media_type="audio/mpeg"),
        Content.from_hosted_file("file_1", media_type="text/csv", name="a.csv"),
        Content.from_hosted_vector_store("vs_1"),
    )
    assert [item["type"] for item in items] == ["image_generation_call", "message", "message", "message"]
    assert texts(items) == ["https://a.example/song.mp3", "a.csv: file_1", "vs_1"]


def test_answers_that_others_gave_and_consent() -> None:
    call = Content.from_function_call("c1", "rm", arguments="{}")
    items = told(
        Content.from_function_approval_response(True, "af-1", call),
        Content.from_oauth_consent_request("https://a.example"),
    )
    assert [item["type"] for item in items] == ["mcp_approval_response", "oauth_consent_request"]


@pytest.mark.filterwarnings("ignore:.COMPUTER_USE. Content.from_computer_tool_:FutureWarning")
def test_a_computer() -> None:
    [item] = told(
        Content.from_computer_tool_call(id="cu_1", call_id="c1", actions=[{"type": "click"}]),
        Content.from_computer_tool_result(call_id="c1", screenshot=Content.from_hosted_file("file_1")),
    )
    assert (item["type"], item["name"], item["output"]) == ("mcp_call", "computer", "file_1")


def test_an_error_is_not_told() -> None:
    with pytest.raises(SaidError, match="secret"):
        told(Content.from_error(message="secret", error_code="x"))


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_is_incomplete(reason: str, why: str) -> None:
    reader = UpdateReader(Waiting())
    said_of(reader, Content.from_text("Half"), finish_reason=reason)
    assert list(reader.end()) == [Incomplete(why)]


def test_usage_adds_up_unless_it_stands_for_all() -> None:
    reader = UpdateReader(Waiting())
    said_of(reader, *[Content.from_usage({"input_token_count": 2, "output_token_count": 1})] * 2)
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (4, 2)
    whole: Any = {"input_token_count": 9, "cache_read_input_token_count": 3, "reasoning_output_token_count": 1}
    said_of(reader, Content.from_usage(whole, merge_mode="replace"))
    assert (reader.usage.input_tokens, reader.usage.cached_tokens, reader.usage.reasoning_tokens) == (9, 3, 1)


WORDS = st.text(st.sampled_from("ab é\n"), min_size=1, max_size=4)


@st.composite
def said_by_a_service(draw: st.DrawFn) -> tuple[list[Content], str]:
    """Draw what a service may say, with each call whole, and all that it says in text."""
    contents, text = list[Content](), ""
    for number in range(draw(st.integers(0, 6))):
        call_id = f"call_{number}"
        match draw(
            st.sampled_from(["text", "whole", "thought", "call", "mcp", "code", "image", "shell", "usage", "media"])
        ):
            case "text":
                text += (piece := draw(WORDS))
                contents.append(Content.from_text(piece))
            case "whole":
                text += (piece := draw(WORDS))
                contents.append(Content.from_shell_tool_call(call_id=call_id, commands=["ls"]))
                contents.extend(Content.from_text(letter) for letter in piece)
                contents.append(Content.from_text(piece, merge_mode="replace"))
            case "thought":
                marks = {"reasoning_text": True} if draw(st.booleans()) else None
                known = draw(st.sampled_from([None, "rs_1", "rs_2"]))
                contents.append(Content.from_text_reasoning(id=known, text=draw(WORDS), additional_properties=marks))
            case "call":
                pieces = draw(st.sampled_from([['{"a": 1}'], ['{"a"', ": 1}"], [""], ["{", "}"]]))
                hosted = draw(st.booleans())
                contents.extend(
                    Content.from_function_call(call_id, "do", arguments=one, hosted=hosted) for one in pieces
                )
                if draw(st.booleans()):
                    failed = draw(st.sampled_from([None, "ValueError"]))
                    contents.append(Content.from_function_result(call_id, result=draw(WORDS), exception=failed))
            case "mcp":
                contents.append(Content.from_mcp_server_tool_call(call_id, "find", arguments={"q": 1}))
                contents.append(Content.from_mcp_server_tool_result(call_id, output=draw(WORDS)))
            case "code":
                contents.append(
                    Content.from_code_interpreter_tool_call(call_id=call_id, inputs=[Content.from_text("x")])
                )
                contents.append(Content.from_code_interpreter_tool_result(call_id=call_id, outputs=[]))
            case "image":
                made = Content.from_uri("data:image/png;base64,cG5n")
                contents.append(Content.from_image_generation_tool_result(image_id=call_id, outputs=made))
            case "shell":
                contents.append(Content.from_shell_tool_call(call_id=call_id, commands=["ls"]))
            case "usage":
                contents.append(Content.from_usage({"input_token_count": 1, "output_token_count": 1}))
            case "media":
                contents.append(Content.from_hosted_file("file_1"))
    return contents, text


@given(said_by_a_service(), st.booleans())
def test_whatever_a_service_says_makes_a_right_stream_that_has_all_of_its_text(
    said: tuple[list[Content], str], live: bool
) -> None:
    contents, text = said
    assert "".join(texts(told(*contents, live=live))).replace("file_1", "") == text
