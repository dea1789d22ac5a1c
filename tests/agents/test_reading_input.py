"""`run_input`: what an agent is told of a request, and what a client is told of one that cannot be understood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream.agents.reading_input import error_body, run_input
from responses_stream.agents.turn import SessionAnchor
from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.protocol.codec import decode_as, encode, to_builtins
from responses_stream.protocol.items import InputMessage
from responses_stream.protocol.request import CreateResponse

TEXT: Final = {"type": "input_text", "text": "Hi"}
FORMS: Final = ["plain", "json", "text", "read"]


def messages_of(given: Any, form: str = "plain") -> list[dict[str, Any]]:
    """Return the messages of an input, however the body comes."""
    body: dict[str, Any] = {"input": given}
    bodies: Mapping[str, Any] = {
        "plain": body,
        "json": json.dumps(body).encode(),
        "text": json.dumps(body),
        "read": decode_as(body, CreateResponse),
    }
    return [to_builtins(message) for message in run_input(bodies[form]).messages]


def user(*parts: Any) -> dict[str, Any]:
    """Return a message of the user."""
    return {"type": "message", "role": "user", "content": list(parts)}


@pytest.mark.parametrize("form", FORMS)
class TestMessages:
    def test_a_string_is_a_message_of_the_user(self, form: str) -> None:
        assert messages_of("Hi", form) == [user(TEXT)]

    def test_a_message_keeps_its_role_and_has_parts(self, form: str) -> None:
        told, answered = messages_of(
            [{"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Yes."}], form
        )
        assert (told["role"], told["content"]) == ("system", [{"type": "input_text", "text": "Be brief."}])
        assert answered["content"][0]["type"] == "output_text"

    def test_parts_in_a_row_are_a_message_of_the_user(self, form: str) -> None:
        image = {"type": "input_image", "image_url": "https://x/a.png"}
        audio = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
        sent = [TEXT, image, {"role": "user", "content": "and"}, {"type": "text", "text": "now"}, audio]
        assert messages_of(sent, form) == [user(TEXT, image), user({**TEXT, "text": "and"}), user(sent[3], audio)]

    def test_other_items_stay_and_end_a_row_of_parts(self, form: str) -> None:
        items = [
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": [TEXT]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "item_reference", "id": "msg_1"},
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
            {"type": "acme:thing", "what": [1]},
        ]
        assert messages_of([TEXT, *items, TEXT], form) == [user(TEXT), *items, user(TEXT)]

    def test_a_reference_may_be_an_id_alone(self, form: str) -> None:
        assert messages_of([{"id": "msg_1"}], form) == [{"type": "item_reference", "id": "msg_1"}]

    def test_members_that_nobody_knows_stay(self, form: str) -> None:
        sent = {**user({**TEXT, "cached": True}, {"type": "acme:part", "x": 1}), "name": "Ann", "id": "msg_1"}
        assert messages_of([sent], form) == [sent]

    def test_an_image_may_come_as_in_chat_completions(self, form: str) -> None:
        url = {"url": "https://x/a.png", "detail": "low"}
        image = {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"}
        assert messages_of([user({"type": "input_image", "image_url": url})], form) == [user(image)]
        assert messages_of([{"type": "input_image", "image_url": url, "detail": "high"}], form) == [
            user({**image, "detail": "high"})
        ]

    @pytest.mark.parametrize("source", [{"file_url": "https://x/a", "mime_type": "text/plain"}, {"file_id": "f"}])
    def test_a_file_is_somewhere(self, source: dict[str, str], form: str) -> None:
        assert messages_of([{"type": "input_file", **source}], form) == [user({"type": "input_file", **source})]


@pytest.mark.parametrize("body", [{"model": "m"}, {"input": None}, CreateResponse()])
def test_without_input_there_are_no_messages(body: Any) -> None:
    assert run_input(body).messages == []


def test_a_message_is_of_the_user_where_it_does_not_say() -> None:
    assert messages_of([{"content": "a"}, {"type": "message", "role": None, "content": []}]) == [
        user({**TEXT, "text": "a"}),
        user(),
    ]


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ({"input": []}, "input", "is an empty list"),
        ({"input": 3}, "input", "is a number"),
        ({"input": [TEXT, 3]}, "input[1]", "is a number"),
        ({"input": [["a"]]}, "input[0]", "is a list"),
        ({"input": [None]}, "input[0]", "is missing"),
        ({"input": [{}]}, "input[0].type", "is missing"),
        ({"input": [{"type": 3}]}, "input[0].type", "is a number"),
        ({"input": [{"role": "user"}]}, "input[0].content", "is missing"),
        ({"input": [{"role": True, "content": "a"}]}, "input[0].role", "is a boolean"),
        ({"input": [TEXT, {"role": "user", "content": 3}]}, "input[1].content", "is a number"),
        ({"input": [user({"type": "input_text"})]}, "input[0].content[0].text", "is required and missing"),
        ({"input": [user("Hi")]}, "input[0].content[0]", "is a string"),
        ({"input": [user({"text": "Hi"})]}, "input[0].content[0].type", "is missing"),
        ({"input": [user(TEXT, {"type": "input_image"})]}, "input[0].content[1]", "has no image_url or file_id"),
        ({"input": [{"type": "input_image", "image_url": {}}]}, "input[0]", "has no image_url or file_id"),
        ({"input": [{"type": "input_file", "file_id": ""}]}, "input[0]", "has no file_url or file_id or file_data"),
        ({"input": [{"type": "function_call", "call_id": "1", "name": "f"}]}, "input[0].arguments", "is required"),
        ({"stream": "yes"}, "stream", "is a string"),
        ({"previous_response_id": 3}, "previous_response_id", "is a number"),
        ({"conversation": ["c"]}, "conversation", "is a list"),
        ({"conversation": {"id": 3}}, "conversation.id", "is a number"),
        ({"previous_response_id": "resp_1", "conversation": {"id": "c"}}, "conversation", "cannot be given together"),
        (b"[]", "body", "is a list"),
        ('"Hi"', "body", "is a string"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_place(body: Any, where: str, what: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        run_input(body)
    assert refused.value.argument == where
    assert what in refused.value.reason
    error = json.loads(error_body(refused.value))["error"]
    assert error["param"] == (None if where == "body" else where)
    assert (error["code"], error["type"]) == ("invalid_request", "invalid_request_error")
    assert what in error["message"]


def test_what_is_not_json_is_told() -> None:
    with pytest.raises(DecodeError) as refused:
        run_input(b'{"input": ')
    assert json.loads(error_body(refused.value))["error"]["message"].startswith("not JSON")
    with pytest.raises(DecodeError) as misfit:
        decode_as({"input": 3}, CreateResponse, strict=True)
    (detail,) = json.loads(error_body(misfit.value))["error"]["details"]
    assert detail["param"] == "$.input"


@pytest.mark.parametrize("body", [3, None, ["Hi"]])
def test_what_is_no_body_is_refused(body: Any) -> None:
    with pytest.raises(InvalidType, match="body"):
        run_input(body)


def test_what_else_was_asked_for_has_the_names_of_the_protocol() -> None:
    asked = {
        "model": "m",
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f"}],
        "max_output_tokens": 20,
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "user": "ann",
        "acme": 1,
    }
    transport = {"stream": True, "store": False, "background": False, "stream_options": {}, "response_id": "resp_1"}
    body = {**asked, **transport, "input": "Hi", "temperature": None, "agent_session_id": "s"}
    for form in (body, decode_as(body, CreateResponse), json.dumps(body)):
        run = run_input(form)
        assert run.options == asked
        assert run.stream is True


@pytest.mark.parametrize(
    ("body", "session"),
    [
        ({}, None),
        ({"previous_response_id": "resp_1"}, SessionAnchor("resp_1", "snapshot")),
        ({"conversation": "conv_1"}, SessionAnchor("conv_1", "head")),
        ({"conversation": {"id": "conv_1"}}, SessionAnchor("conv_1", "head")),
        ({"previous_response_id": "", "conversation": {"id": "c"}}, SessionAnchor("c", "head")),
        ({"previous_response_id": None, "conversation": None}, None),
        ({"conversation": {}}, None),
        ({"conversation": ""}, None),
    ],
)
def test_what_it_goes_on_from(body: dict[str, Any], session: SessionAnchor | None) -> None:
    assert run_input(body).session == session
    assert run_input(decode_as(body, CreateResponse)).session == session


@pytest.mark.parametrize(
    ("body", "caller"),
    [
        ({}, None),
        ({"user": "ann"}, "ann"),
        ({"user": "ann", "safety_identifier": "x1"}, "x1"),
        ({"user": "ann", "safety_identifier": ""}, "ann"),
        ({"user": "", "safety_identifier": 3}, None),
    ],
)
def test_who_asks(body: dict[str, Any], caller: str | None) -> None:
    assert run_input(body).caller == caller


_NAMES: Final = st.text(max_size=5)
_PARTS: Final = st.one_of(
    st.builds(lambda text: {"type": "input_text", "text": text}, _NAMES),
    st.builds(lambda text: {"type": "output_text", "text": text, "annotations": [], "logprobs": []}, _NAMES),
    st.builds(lambda url: {"type": "input_image", "image_url": f"https://x/{url}", "detail": "auto"}, _NAMES),
    st.builds(lambda data: {"type": "input_file", "file_data": f"data:,{data}", "filename": "a"}, _NAMES),
    st.builds(lambda url: {"type": "input_video", "video_url": url}, _NAMES),
)
_ITEMS: Final = st.one_of(
    st.builds(
        lambda role, parts: {"type": "message", "role": role, "content": parts},
        st.sampled_from(["user", "assistant", "system", "developer"]),
        st.lists(_PARTS, max_size=3),
    ),
    st.builds(lambda call: {"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"}, _NAMES),
    st.builds(lambda call, text: {"type": "function_call_output", "call_id": call, "output": text}, _NAMES, _NAMES),
    st.builds(lambda text: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}, _NAMES),
    st.builds(lambda item_id: {"type": "item_reference", "id": item_id}, _NAMES),
    st.builds(lambda what: {"type": "acme:thing", "what": what}, _NAMES | st.none() | st.lists(_NAMES)),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(_ITEMS | _PARTS, min_size=1, max_size=6))
def test_nothing_of_an_input_is_lost(sent: list[dict[str, Any]]) -> None:
    expected: list[dict[str, Any]] = []
    before = False
    for entry in sent:
        loose = entry["type"] in ("input_text", "output_text", "input_image", "input_file", "input_video")
        if not loose:
            expected.append(entry)
        elif before:
            expected[-1]["content"].append(entry)
        else:
            expected.append(user(entry))
        before = loose
    body = {"input": sent}
    run = run_input(body)
    assert [to_builtins(message) for message in run.messages] == expected
    # What was understood once is understood again, in every form.
    again = decode_as({"input": expected}, CreateResponse, strict=True)
    for form in ({"input": list(run.messages)}, again, encode(again)):
        assert run_input(form).messages == run.messages


def test_messages_of_python_are_taken_as_they_are() -> None:
    request = CreateResponse(input=[InputMessage(role="user", content="Hi")])
    assert [to_builtins(message) for message in run_input(request).messages] == [user(TEXT)]
