"""What chat models and chains of LangChain say and are told: all kinds of blocks, calls, what the client has sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, SystemMessage, ToolMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openai.types.responses import Response
from pydantic import SecretStr

from responses_stream import CreateResponse, ResponseContext
from responses_stream.agents.bridges.langgraph import bridge
from responses_stream.agents.turn import Turn

from .scripted_chat import ScriptedChat, call, words
from .serving import serving
from .test_langgraph import brief

DOOR: Any = {"type": "function", "name": "open_door", "parameters": {"type": "object"}, "strict": False}


def dicts(answer: Response) -> list[Any]:
    """Return the items of *answer* as plain data."""
    return [item.to_dict() for item in answer.output]


def piece(*blocks: dict[str, Any], provider: str | None = None, **members: Any) -> AIMessageChunk:
    """Return a piece of a message, made of standard blocks."""
    metadata = {"output_version": "v1", **({"model_provider": provider} if provider else {})}
    return AIMessageChunk(content=list(blocks), response_metadata=metadata, **members)


def answered(*script: Any, **asked: Any) -> Response:
    """Return what a chat model that says *script* answers."""
    with serving(bridge(ScriptedChat(scripts=[list(script)]))) as served:
        answer: Response = served.client.responses.create(model="m", input="Hi", **asked)
        return answer


def test_thoughts_of_a_model_and_their_sealed_form() -> None:
    script = [
        piece({"type": "reasoning", "reasoning": "The sky"}),
        piece({"type": "reasoning", "reasoning": " is blue."}),
        piece({"type": "reasoning", "extras": {"signature": "c2VhbGVk"}}),
        piece({"type": "text", "text": "Blue."}),
    ]
    assert "encrypted_content" not in dicts(answered(*script))[0]
    answer = answered(*script, include=["reasoning.encrypted_content"])
    thought, message = dicts(answer)
    assert [part["text"] for part in thought["content"]] == ["The sky is blue."]
    assert (thought["summary"], thought["encrypted_content"]) == ([], "c2VhbGVk")
    assert message["content"][0]["text"] == "Blue."


def test_what_openai_tells_of_thoughts_is_a_summary_in_parts() -> None:
    answer = answered(
        piece({"type": "reasoning", "reasoning": "First.", "index": 0}, provider="openai"),
        piece({"type": "reasoning", "reasoning": "Then", "index": 1}, provider="openai"),
        piece({"type": "reasoning", "reasoning": " that.", "index": 1}, provider="openai"),
        piece({"type": "text", "text": "Blue.", "index": 2}, provider="openai"),
    )
    assert [part["text"] for part in dicts(answer)[0]["summary"]] == ["First.", "Then that."]


def test_citations_refusals_images_and_the_tools_of_the_service() -> None:
    citation = {"type": "citation", "url": "https://sky", "title": "Sky", "start_index": 0, "end_index": 4}
    answer = answered(
        piece({"type": "server_tool_call_chunk", "id": "ws_1", "name": "web_search", "args": '{"q":', "index": 0}),
        piece({"type": "server_tool_call_chunk", "args": '"sky"}', "index": 0}),
        piece({"type": "server_tool_result", "tool_call_id": "ws_1", "status": "success", "output": ["found"]}),
        piece({"type": "text", "text": "Blue."}),
        piece({"type": "text", "text": "", "annotations": [citation, {**citation, "end_index": 99}]}),
        piece({"type": "image", "base64": "aGk=", "mime_type": "image/png", "id": "img_1"}),
        piece({"type": "audio", "url": "https://sky/1.wav", "mime_type": "audio/wav"}),
        piece({"type": "non_standard", "value": {"type": "refusal", "refusal": "No more."}}),
    )
    search, message, image, audio, refused = dicts(answer)
    assert (search["name"], search["arguments"], search["output"]) == ("web_search", '{"q":"sky"}', '["found"]')
    [part] = message["content"]
    assert (part["text"], [one["url"] for one in part["annotations"]]) == ("Blue.", ["https://sky"])
    assert (image["type"], image["result"]) == ("image_generation_call", "aGk=")
    assert "https://sky/1.wav" in json.dumps(audio)
    assert refused["content"][-1]["refusal"] == "No more."


def test_citations_count_from_the_beginning_of_their_block() -> None:
    citation = {"type": "citation", "url": "https://sky", "start_index": 0, "end_index": 3}
    answer = answered(
        piece({"type": "text", "text": "Look: ", "index": 0}),
        piece({"type": "text", "text": "the ", "index": 1}),
        piece({"type": "text", "text": "sky", "index": 1}),
        piece({"type": "text", "text": "", "annotations": [citation], "index": 1}),
    )
    [part] = dicts(answer)[0]["content"]
    [cited] = part["annotations"]
    assert part["text"][cited["start_index"] : cited["end_index"]] == "the"
    assert cited["title"] == "https://sky"


@pytest.mark.parametrize("streaming", [True, False])
def test_what_the_integration_of_openai_says_is_passed_on(streaming: bool) -> None:
    """A real chat model, whose service is a server of ours."""

    async def upstream(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_reasoning(["The sky", " is blue."], encrypted_content="c2VhbGVk")
        message = stream.add_output_item_message()
        text = message.add_text_content()
        yield [message.emit_added(), text.emit_added(), text.emit_delta("Blue"), text.emit_delta(", it says.")]
        citation = {"type": "url_citation", "url": "https://sky", "title": "Sky", "start_index": 0, "end_index": 4}
        yield [text.emit_annotation_added(citation), text.emit_text_done(), text.emit_done(), message.emit_done()]
        yield stream.output_item_function_call("open_door", "call_1", ['{"n":', " 1}"])
        yield stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})

    with serving(upstream) as asked:
        client = asked.async_client()
        chat = ChatOpenAI(
            model="upstream",
            api_key=SecretStr("-"),
            root_client=asked.client,
            client=asked.client.chat.completions,
            root_async_client=client,
            async_client=client.chat.completions,
            use_responses_api=True,
            output_version="responses/v1",
            disable_streaming=not streaming,
        )
        with serving(bridge(chat, client_tools=True)) as served:
            answer = served.client.responses.create(
                model="m", input="Why?", tools=[DOOR], include=["reasoning.encrypted_content"]
            )
            served.portal.call(client.close)
    thought, message, made = dicts(answer)
    assert [part["text"] for part in thought["summary"]] == ["The sky is blue."]
    assert thought["encrypted_content"] == "c2VhbGVk"
    [part] = message["content"]
    assert (part["text"], [one["url"] for one in part["annotations"]]) == ("Blue, it says.", ["https://sky"])
    assert (made["name"], made["call_id"], made["arguments"].replace(" ", "")) == ("open_door", "call_1", '{"n":1}')
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"finish_reason": "length"}, "max_output_tokens"),
        ({"stop_reason": "max_tokens"}, "max_output_tokens"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    ],
)
def test_a_model_that_breaks_off_makes_an_incomplete_response(metadata: dict[str, Any], reason: str) -> None:
    answer = answered(*words("Half an", response_metadata=metadata))
    assert answer.incomplete_details is not None
    assert (answer.status, answer.incomplete_details.reason, answer.output_text) == ("incomplete", reason, "Half an")


def test_a_plain_model_calls_the_functions_of_its_client() -> None:
    model = ScriptedChat(
        scripts=[
            [*words("Let me see. "), *call("open_door", '{"n": 1}', "call_1"), *call("open_door", "{}", "call_2", 1)],
            words("It is open."),
        ]
    )
    with serving(bridge(model, client_tools=True)) as served:
        first = served.client.responses.create(
            model="m",
            input="Open it",
            instructions="Be brief.",
            tools=[DOOR],
            tool_choice="required",
            temperature=0.3,
            max_output_tokens=90,
        )
        message, one, other = dicts(first)
        assert message["content"][0]["text"] == "Let me see. "
        assert (one["name"], one["arguments"], one["call_id"]) == ("open_door", '{"n": 1}', "call_1")
        sent: Any = [{"type": "function_call_output", "call_id": one["call_id"], "output": "opened"}]
        second = served.client.responses.create(model="m", input=sent, previous_response_id=first.id)
        assert (second.output_text, other["call_id"]) == ("It is open.", "call_2")
    assert brief(model.asked[0]) == ["Be brief.", "Open it"]
    [bound] = model.asked_with[0].pop("tools")
    assert bound["function"] == {"name": "open_door", "parameters": {"type": "object"}, "strict": False}
    assert model.asked_with[0] == {"tool_choice": "any", "temperature": 0.3, "max_tokens": 90}
    assert brief(model.asked[1]) == [
        *("Open it", "Let me see. ", "open_door({'n': 1})", "open_door({})"),
        *("-> The call was not answered.", "-> opened"),
    ]


@pytest.mark.parametrize(
    ("client_tools", "choice", "bound"),
    [
        (False, "required", {}),
        (False, {"type": "function", "name": "open_door"}, {}),
        (True, {"type": "function", "name": "open_door"}, {"tool_choice": "open_door"}),
        (True, {"type": "function", "name": "shut_door"}, {}),
        (True, {"type": "web_search"}, {}),
        (True, "auto", {"tool_choice": "auto"}),
    ],
)
def test_a_choice_goes_with_the_functions_that_it_is_of(client_tools: bool, choice: Any, bound: dict[str, Any]) -> None:
    """A service refuses a choice of tools that it was not given."""
    model = ScriptedChat(scripts=[words("Well.")])
    with serving(bridge(model, client_tools=client_tools)) as served:
        answer = served.client.responses.create(model="m", input="Hi", tools=[DOOR], tool_choice=choice)
    assert answer.status == "completed"
    [asked_with] = model.asked_with
    assert ("tools" in asked_with) == client_tools
    assert {name: value for name, value in asked_with.items() if name != "tools"} == bound


def test_a_chain_takes_what_it_is_given_and_may_say_text_or_json() -> None:
    prompt = ChatPromptTemplate([("system", "You know {what}."), ("placeholder", "{messages}")])

    def state(turn: Turn) -> dict[str, Any]:
        return {"what": "the sky", "messages": [("user", "Hi")], "turn": turn.response_id}

    model = ScriptedChat(scripts=[words("It is blue."), words('{"colour": "blue"}')])
    with serving(bridge(prompt | model | StrOutputParser(), to_state=state)) as served:
        events = served.stream(input="Hi")
        assert [event["delta"] for event in events if event["type"].endswith("text.delta")] == ["It ", "is ", "blue."]
        served.change(bridge(prompt | model | JsonOutputParser(), to_state=state))
        assert served.client.responses.create(model="m", input="Hi").output_text == '{"colour": "blue"}'
    assert brief(model.asked[0]) == ["You know the sky.", "Hi"]


def test_images_files_and_what_clients_send_back_reach_the_model() -> None:
    model = ScriptedChat(scripts=[words("A cat.")])
    content: Any = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "https://cat/1.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "hi.txt"},
        {"type": "input_file", "file_id": "file_1"},
    ]
    sent: Any = [
        {"role": "developer", "content": "Look closely."},
        {"id": "rs_2", "type": "reasoning", "summary": []},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "call_id": "call_1", "name": "open", "arguments": '{"n": 1}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "shut", "input": "now"},
        {"type": "function_call_output", "call_id": "call_1", "output": "opened"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "shut"},
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "server_label": "m",
            "name": "weather",
            "arguments": "{}",
            "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "No."}]},
        },
        {"role": "user", "content": content},
    ]
    with serving(bridge(model)) as served:
        assert served.client.responses.create(model="m", input=sent).output_text == "A cat."
    developer, said, opened, shut, weather_call, failed, user = model.asked[0]
    assert isinstance(developer, SystemMessage)
    assert isinstance(said, AIMessage)
    assert [(made["name"], made["args"]) for made in said.tool_calls] == [
        ("open", {"n": 1}),
        ("shut", {"input": "now"}),
    ]
    assert [message.text for message in (opened, shut, failed)] == ["opened", "shut", "No."]
    assert isinstance(weather_call, AIMessage)
    assert isinstance(failed, ToolMessage)
    assert failed.status == "error"
    assert user.content == [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "url": "https://cat/1.png", "extras": {"detail": "low"}},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
        {"type": "file", "base64": "aGk=", "mime_type": "text/plain", "extras": {"filename": "hi.txt"}},
        {"type": "file", "file_id": "file_1"},
    ]
