"""What a request says in its long form, and items on their way from input to output and back (section 17.5)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import (
    CreateResponse,
    InvalidValue,
    ResponseObject,
    get_content_expanded,
    get_conversation_expanded,
    get_conversation_id,
    get_input_expanded,
    get_instruction_items,
    get_output_item_id,
    get_tool_choice_expanded,
    to_item,
    to_output_item,
)
from responses_stream.protocol.base import UnknownItem, Wire
from responses_stream.protocol.codec import decode_as, decode_union, to_builtins
from responses_stream.protocol.conversions import get_input_text, to_stored_item
from responses_stream.protocol.ids import ITEM_PREFIXES, new_response_id, partition_of
from responses_stream.protocol.items import (
    AliasOutputMessage,
    CompactionTrigger,
    ConfigurationUpdate,
    InputItem,
    InputMessage,
    ItemReference,
    OutputItem,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
)
from responses_stream.protocol.parts import (
    ContentPart,
    ResponseInputImage,
    ResponseInputText,
    ResponseOutputRefusal,
    ResponseOutputText,
)
from responses_stream.protocol.plans import tags_of
from responses_stream.protocol.platform_items import PlatformItem
from responses_stream.protocol.response import Conversation
from responses_stream.protocol.tools import ToolChoice, ToolChoiceAllowed

from .samples import full, minimal
from .strategies import JSON, wire_json

PROPERTY: Final = settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
RESPONSE: Final = new_response_id()
INPUT_ONLY: Final = (CompactionTrigger, ConfigurationUpdate)
# H17.27: the types whose status becomes `completed`; that of the others is as it came, where they have one.
COMPLETED: Final = {
    *("message", "reasoning", "function_call", "function_call_output", "computer_call", "computer_call_output"),
    *("file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call", "mcp_call"),
    *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
}
# Items of input that a type names; a reference may do without.
KINDS: Final = tags_of(InputItem)
UNKNOWN: Final = {"type": "acme:search", "id": "x_1", "status": "in_progress", "query": {"q": [1]}}


def asked(**members: Any) -> CreateResponse:
    return decode_as(members, CreateResponse)


def item(data: dict[str, Any]) -> Any:
    return decode_union(data, InputItem, "item")


def message(role: str, *parts: ContentPart) -> InputMessage:
    return InputMessage(role=role, content=list(parts))


def user(text: str) -> InputMessage:
    return message("user", ResponseInputText(text=text))


class TestConversation:
    """H17.25, H17.30."""

    @pytest.mark.parametrize(
        ("members", "found"),
        [
            ({"conversation": "conv_1"}, "conv_1"),
            ({"conversation": {"id": "conv_1"}}, "conv_1"),
            ({"conversation": None}, None),
            ({"conversation": ""}, None),
            ({"conversation": {}}, None),  # H8.16i
            ({}, None),
        ],
    )
    def test_its_id_is_told_in_either_form(self, members: dict[str, Any], found: str | None) -> None:
        request = asked(**members)
        assert get_conversation_id(request) == found
        assert get_conversation_expanded(request) == (None if found is None else Conversation(id=found))

    def test_a_response_is_asked_likewise(self) -> None:
        assert get_conversation_id(ResponseObject(id="resp_1")) is None
        response = ResponseObject(id="resp_1", conversation=Conversation(id="conv_1"))
        assert get_conversation_id(response) == "conv_1"

    def test_members_that_are_not_known_stay(self) -> None:
        found = get_conversation_expanded(asked(conversation={"id": "conv_1", "title": "Trip"}))
        assert found == Conversation(id="conv_1", extra={"title": "Trip"})


class TestInput:
    """H17.26, H11.14."""

    @pytest.mark.parametrize("members", [{}, {"input": None}, {"input": []}, {"input": 7}])
    def test_no_input_is_no_items(self, members: dict[str, Any]) -> None:
        assert get_input_expanded(asked(**members)) == []

    @pytest.mark.parametrize("text", ["Hi", ""])  # H8.16o
    def test_a_string_is_one_message_of_the_user(self, text: str) -> None:
        assert get_input_expanded(asked(input=text)) == [user(text)]

    def test_an_item_without_a_type_but_with_a_role_is_a_message(self) -> None:
        # H8.16f
        [found] = get_input_expanded(asked(input=[{"role": "system", "content": "Be brief.", "tone": 1}]))
        assert to_builtins(found) == {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be brief."}],
            "tone": 1,
        }

    def test_a_string_that_the_assistant_said_is_output_text(self) -> None:
        [found] = get_input_expanded(asked(input=[{"role": "assistant", "content": "Hello"}]))
        assert found == message("assistant", ResponseOutputText(text="Hello"))

    def test_a_reference_stays_one_and_has_its_type(self) -> None:
        # H11.16
        found = get_input_expanded(asked(input=[{"id": "msg_1"}, {"type": None, "id": "msg_2"}]))
        assert found == [ItemReference(id="msg_1"), ItemReference(id="msg_2")]

    def test_other_items_are_as_they_came(self) -> None:
        request = asked(input=[UNKNOWN, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}])
        assert isinstance(request.input, list)
        found = get_input_expanded(request)
        assert [one is other for one, other in zip(found, request.input, strict=True)] == [True, True]

    def test_what_is_done_to_the_list_is_not_done_to_the_request(self) -> None:
        # H11.21
        request = asked(input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}])
        before = to_builtins(request)
        [found] = items = get_input_expanded(request)
        assert isinstance(found, InputMessage)
        assert isinstance(found.content, list)
        found.content.clear()
        items.clear()
        assert to_builtins(request) == before

    @PROPERTY
    @given(wire_json(CreateResponse, loose=True))
    def test_every_item_of_any_request_is_there_in_one_form(self, data: dict[str, Any]) -> None:
        request = decode_as(data, CreateResponse)
        found = get_input_expanded(request)
        if isinstance(request.input, list):
            assert len(found) == len(request.input)
        assert get_input_expanded(msgspec.structs.replace(request, input=found)) == found
        for one in found:
            assert isinstance(one, UnknownItem) or isinstance(one.type, str)
            assert not isinstance(one, InputMessage) or isinstance(one.content, list)


class TestInstructions:
    """H17.30."""

    def test_a_string_is_one_message_of_the_developer(self) -> None:
        expected = [message("developer", ResponseInputText(text="Be brief."))]
        assert get_instruction_items(asked(instructions="Be brief.")) == expected
        assert get_instruction_items(ResponseObject(id="resp_1", instructions="Be brief.")) == expected

    def test_the_items_of_a_response_are_expanded(self) -> None:
        # request-response.md section 3.1: a prompt template gives a list
        response = decode_as({"id": "resp_1", "instructions": [{"role": "user", "content": "Hi"}]}, ResponseObject)
        assert get_instruction_items(response) == [user("Hi")]

    def test_none_are_no_items(self) -> None:
        assert get_instruction_items(asked()) == get_instruction_items(ResponseObject(id="resp_1")) == []


class TestContent:
    """H17.30, H17.18."""

    @pytest.mark.parametrize("role", ["user", "system", "developer", "tool"])
    def test_a_string_is_one_part_of_input_text(self, role: str) -> None:
        assert get_content_expanded(InputMessage(role=role, content="Hi")) == [ResponseInputText(text="Hi")]

    def test_parts_are_as_they_came_in_a_list_of_its_own(self) -> None:
        parts: list[ContentPart] = [ResponseInputText(text="Hi"), ResponseInputImage(file_id="file_1")]
        for holder in (
            InputMessage(role="user", content=parts),
            ResponseOutputMessage(id="msg_1", status="completed", content=parts),
            AliasOutputMessage(id="om_1", status="completed", content=parts),
        ):
            found = get_content_expanded(holder)
            assert found == parts
            assert found is not holder.content

    def test_the_text_of_an_input_is_that_of_all_input_text_parts_of_messages(self) -> None:
        # H17.18: other items and parts are ignored
        items = [
            user("one"),
            InputMessage(role="user", content="two"),
            InputMessage(role="assistant", content="not this"),
            ItemReference(id="msg_1"),
            message("system", ResponseInputImage(file_id="f"), ResponseInputText(text=""), ResponseInputText(text="3")),
            ResponseOutputMessage(
                id="msg_1",
                status="completed",
                role="user",
                content=[ResponseInputText(text="four"), ResponseOutputRefusal(refusal="No.")],
            ),
            item({"type": "function_call_output", "output": [{"type": "input_text", "text": "nor this"}]}),
            item(UNKNOWN),
        ]
        assert get_input_text(items) == "one\ntwo\n\n3\nfour"
        assert get_input_text([]) == ""


class TestToolChoice:
    """H17.29."""

    @pytest.mark.parametrize("mode", ["auto", "required"])
    def test_auto_and_required_become_an_object_with_that_mode(self, mode: str) -> None:
        assert get_tool_choice_expanded(asked(tool_choice=mode)) == ToolChoiceAllowed(tools=[], mode=mode)

    @pytest.mark.parametrize("members", [{}, {"tool_choice": None}, {"tool_choice": "none"}])
    def test_none_is_none(self, members: dict[str, Any]) -> None:
        assert get_tool_choice_expanded(asked(**members)) is None

    @pytest.mark.parametrize("word", ["", "AUTO", "any"])
    def test_another_word_is_a_value_error(self, word: str) -> None:
        with pytest.raises(InvalidValue, match="'none', 'auto' or 'required'"):
            get_tool_choice_expanded(asked(tool_choice=word))

    @pytest.mark.parametrize("kind", [*tags_of(ToolChoice).items(), ("acme", None)], ids=lambda kind: str(kind[0]))
    def test_objects_pass(self, kind: tuple[str, type[Wire] | None]) -> None:
        name, struct = kind
        data = to_builtins(full(struct)) if struct is not None else {"type": "acme", "depth": 2}
        request = asked(tool_choice={**data, "type": name})
        assert get_tool_choice_expanded(request) is request.tool_choice

    def test_a_response_is_asked_likewise(self) -> None:
        assert get_tool_choice_expanded(ResponseObject(id="resp_1")) == ToolChoiceAllowed(tools=[], mode="auto")


class TestItemId:
    """H17.30."""

    def test_it_is_told(self) -> None:
        call = ResponseFunctionToolCall(id="fc_1", call_id="call_1", name="f", arguments="{}")
        assert get_output_item_id(call) == "fc_1"
        assert get_output_item_id(item(UNKNOWN)) == "x_1"

    @pytest.mark.parametrize("members", [{}, {"id": None}, {"id": ""}, {"id": 4}])
    @pytest.mark.parametrize("kind", ["function_call_output", "acme:search"])
    def test_an_item_without_one_is_a_value_error(self, kind: str, members: dict[str, Any]) -> None:
        with pytest.raises(InvalidValue, match=f"'{kind}' has no id"):
            get_output_item_id(item({"type": kind, "output": "1", **members}))


def changed(data: dict[str, Any], kind: str, identifier: str) -> dict[str, Any]:
    """The JSON of an item, as it is to be converted."""
    found = {**data, "type": kind, "id": identifier}
    return {**found, "status": "completed"} if kind in COMPLETED else found


class TestToOutputItem:
    """H17.27, H7.7, H11.18."""

    @pytest.mark.parametrize("make", [minimal, full], ids=["minimal", "full"])
    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"item_reference"}))
    def test_it_has_a_new_id_and_its_status_and_all_else_is_as_it_came(
        self, kind: str, make: Callable[[type[Wire]], Wire]
    ) -> None:
        sent = msgspec.structs.replace(make(KINDS[kind]), extra={"mood": {"firm": True}})
        if hasattr(sent, "status"):
            sent = msgspec.structs.replace(sent, status="in_progress")
        before = to_builtins(sent)
        given_item = cast("InputItem", sent)
        stored = to_stored_item(given_item, RESPONSE)
        assert stored is not None
        identifier = get_output_item_id(stored)
        assert identifier.startswith(f"{ITEM_PREFIXES.get(kind, 'item')}_")
        assert partition_of(identifier) == partition_of(RESPONSE)
        assert identifier != before.get("id")
        assert to_builtins(stored) == changed(before, kind, identifier)
        assert to_builtins(sent) == before
        output = to_output_item(given_item, RESPONSE)
        if isinstance(sent, INPUT_ONLY):
            assert output is None
        else:
            assert output is not None
            assert to_builtins(output) == changed(before, kind, get_output_item_id(output))
            assert get_output_item_id(output) != identifier

    @pytest.mark.parametrize("kind", ["output_message", "apply_patch_call", "apply_patch_call_output"])
    def test_the_status_of_these_is_kept(self, kind: str) -> None:
        sent = msgspec.structs.replace(full(KINDS[kind]), status="failed")
        assert to_builtins(cast("Wire", to_output_item(cast("InputItem", sent), RESPONSE)))["status"] == "failed"

    def test_types_without_a_status_are_given_none(self) -> None:
        for kind in sorted(set(KINDS) - COMPLETED - {"item_reference"}):
            sent = minimal(KINDS[kind])
            stored = to_stored_item(cast("InputItem", sent), RESPONSE)
            assert stored is not None
            assert ("status" in to_builtins(stored)) == ("status" in to_builtins(sent))

    @pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
    def test_a_message_keeps_its_role_and_is_written_out(self, role: str) -> None:
        # H8.16p
        kept = to_output_item(InputMessage(role=role, content="Hi", id="mine", status="incomplete"), RESPONSE)
        assert isinstance(kept, ResponseOutputMessage)
        kind = "output_text" if role == "assistant" else "input_text"
        assert (kept.role, kept.status, [part.type for part in kept.content]) == (role, "completed", [kind])
        assert kept.id.startswith("msg_")

    @pytest.mark.parametrize("data", [{"id": "msg_1"}, {"type": "item_reference", "id": "msg_1"}])
    def test_a_reference_is_not_stored(self, data: dict[str, Any]) -> None:
        assert to_output_item(item(data), RESPONSE) is None
        assert to_stored_item(item(data), RESPONSE) is None

    def test_nor_is_a_reference_to_nothing(self) -> None:
        assert to_stored_item(item({"type": "item_reference", "id": 4}), RESPONSE) is None

    def test_an_unknown_item_is_no_output_and_is_stored_as_it_came(self) -> None:
        assert to_output_item(item(UNKNOWN), RESPONSE) is None
        stored = to_stored_item(item(UNKNOWN), RESPONSE)
        assert isinstance(stored, UnknownItem)
        assert to_builtins(stored) == {**UNKNOWN, "id": stored.id}
        assert stored.id.startswith("item_")
        assert partition_of(stored.id) == partition_of(RESPONSE)

    @pytest.mark.parametrize("data", [{"role": "user", "content": "Hi"}, UNKNOWN], ids=["message", "unknown"])
    def test_what_a_reference_led_to_is_stored_anew(self, data: dict[str, Any]) -> None:
        # H11.15: the stored copy has a new id
        first = to_stored_item(item(data), RESPONSE)
        assert first is not None
        again = to_stored_item(first, new_response_id())
        assert again is not None
        assert partition_of(get_output_item_id(again)) != partition_of(get_output_item_id(first))
        assert {**to_builtins(again), "id": ""} == {**to_builtins(first), "id": ""}

    @PROPERTY
    @given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: wire_json(KINDS[kind], loose=True)))
    def test_nothing_that_came_is_lost(self, data: dict[str, Any]) -> None:
        sent = item(data)
        stored = to_stored_item(sent, RESPONSE)
        if stored is None:
            assert sent.type == "item_reference" or isinstance(sent, ItemReference)
            return
        [expanded] = get_input_expanded(CreateResponse(input=[sent]))
        kept, plain, identifier = to_builtins(stored), to_builtins(expanded), get_output_item_id(stored)
        unknown = isinstance(sent, UnknownItem)
        assert kept == ({**plain, "id": identifier} if unknown else changed(plain, plain["type"], identifier))
        # What is stored is read again as the same.
        assert decode_union(kept, OutputItem | CompactionTrigger | ConfigurationUpdate, "item") == stored

    @PROPERTY
    @given(st.dictionaries(st.text(max_size=4) | st.sampled_from(["type", "id", "role", "status"]), JSON, max_size=4))
    def test_no_object_whatever_makes_it_fail(self, data: dict[str, Any]) -> None:
        sent = decode_union(data, InputItem, "item")
        stored = to_stored_item(sent, RESPONSE)
        assert stored is None or partition_of(get_output_item_id(stored)) == partition_of(RESPONSE)


OUTPUTS: Final = tags_of(OutputItem)
OUTPUT_ALONE: Final = set(tags_of(PlatformItem)) - {"memory_search_call"}


class TestToItem:
    """H17.28."""

    @pytest.mark.parametrize("make", [minimal, full], ids=["minimal", "full"])
    @pytest.mark.parametrize("kind", sorted(OUTPUTS))
    def test_an_output_item_is_sent_back_as_it_came_where_it_can_be(
        self, kind: str, make: Callable[[type[Wire]], Wire]
    ) -> None:
        said = msgspec.structs.replace(make(OUTPUTS[kind]), extra={"mood": {"firm": True}})
        sent = to_item(cast("OutputItem", said))
        # items.md section 2: their direction is `out`
        assert (sent is None) == (kind in OUTPUT_ALONE)
        if sent is not None:
            assert to_builtins(sent) == to_builtins(said)
            assert isinstance(sent, KINDS[kind])

    def test_a_message_that_does_not_say_its_role_is_of_the_assistant(self) -> None:
        said = decode_as({"type": "message", "id": "m", "status": "completed", "content": []}, ResponseOutputMessage)
        assert to_item(said) == InputMessage(role="assistant", content=[], id="m", status="completed")

    def test_an_unknown_item_is_sent_back_as_it_came(self) -> None:
        unknown = item(UNKNOWN)
        assert to_item(unknown) is unknown

    @PROPERTY
    @given(st.sampled_from(sorted(set(OUTPUTS) - OUTPUT_ALONE)).flatmap(lambda kind: wire_json(OUTPUTS[kind])))
    def test_there_and_back_again_changes_the_id_and_the_status_alone(self, data: dict[str, Any]) -> None:
        said = decode_union(data, OutputItem, "item")
        sent = to_item(said)
        assert sent is not None
        back = to_output_item(sent, RESPONSE)
        assert back is not None
        plain = {"role": "assistant", **to_builtins(said)} if data["type"] == "message" else to_builtins(said)
        assert to_builtins(back) == changed(plain, data["type"], get_output_item_id(back))


def test_the_samples_are_of_all_kinds_of_items() -> None:
    assert functools.reduce(set.union, (COMPLETED, {"item_reference"}, OUTPUT_ALONE)) <= set(KINDS)
    assert set(ITEM_PREFIXES) <= set(KINDS)
