"""What a request says, with its short forms written out; and items on their way from input to output and back.

A client may send a string where the protocol has a list of items, an id where it has an object, and a message without
its type. The ``get_*`` functions return the long form of each, so that whoever reads a request knows one form only.
Nothing here looks an item up: a reference stays a reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from responses_stream.errors import InvalidValue
from responses_stream.protocol.base import UnknownItem, UnknownObject
from responses_stream.protocol.codec import decode_union, to_builtins
from responses_stream.protocol.ids import new_item_id
from responses_stream.protocol.items import (
    AliasOutputMessage,
    CompactionTrigger,
    ConfigurationUpdate,
    InputItem,
    InputMessage,
    ItemReference,
    OutputItem,
    ResponseOutputMessage,
)
from responses_stream.protocol.parts import ContentPart, ResponseInputText, ResponseOutputText
from responses_stream.protocol.platform_items import MemorySearchCall, PlatformItem
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.protocol.response import Conversation, ResponseObject
from responses_stream.protocol.tools import (
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceMcp,
    ToolChoiceTypes,
)

StoredItem: TypeAlias = OutputItem | CompactionTrigger | ConfigurationUpdate
"""What a server keeps of its input: every kind of item but references."""

ToolChoiceObject: TypeAlias = (
    ToolChoiceFunction | ToolChoiceAllowed | ToolChoiceCustom | ToolChoiceMcp | ToolChoiceTypes | UnknownObject
)
"""A tool choice that is written out."""

_REFERENCE: Final = "item_reference"
# What was sent in is over and done with. The types that are not listed have no status, or one that says how it went.
_COMPLETED: Final = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "file_search_call",
        "web_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "mcp_call",
        "computer_call",
        "computer_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
    }
)


def get_conversation_id(of: CreateResponse | ResponseObject) -> str | None:
    """Return the id of the conversation that a request or a response names, or None (H17.25)."""
    conversation = get_conversation_expanded(of)
    return None if conversation is None else conversation.id


def get_conversation_expanded(of: CreateResponse | ResponseObject) -> Conversation | None:
    """Return the conversation that a request or a response names, or None; an empty id names none (H17.30)."""
    conversation = given(of.conversation)
    if isinstance(conversation, str):
        conversation = Conversation(id=conversation)
    return conversation if conversation is not None and conversation.id else None


def get_input_expanded(request: CreateResponse) -> list[InputItem]:
    """Return the input of a request as items (H17.26, H11.14); a list of its own, empty where there is no input.

    A string is a message of the user, a message has its type and its content as parts (`get_content_expanded`), and a
    reference has its type. All other items, unknown ones too, are as they came.
    """
    return _items(given(request.input), "user")


def get_instruction_items(of: CreateResponse | ResponseObject) -> list[InputItem]:
    """Return the instructions of a request or a response as items; a string is a message of the developer (H17.30)."""
    return _items(given(of.instructions), "developer")


def get_content_expanded(message: InputMessage | ResponseOutputMessage | AliasOutputMessage) -> list[ContentPart]:
    """Return the content of a message as parts, in a list of its own (H17.30).

    A string is one part: what the assistant said is `output_text`, what anybody else said `input_text`. No service
    takes `input_text` from an assistant (items.md section 4).
    """
    if not isinstance(message.content, str):
        return list(message.content)
    if message.role == "assistant":
        return [ResponseOutputText(text=message.content)]
    return [ResponseInputText(text=message.content)]


def get_input_text(items: Iterable[InputItem | OutputItem]) -> str:
    """Return the text of all `input_text` parts of all messages, joined with line feeds (H17.18)."""
    messages = [item for item in items if isinstance(item, InputMessage | ResponseOutputMessage)]
    parts = [part for message in messages for part in get_content_expanded(message)]
    return "\n".join(part.text for part in parts if isinstance(part, ResponseInputText))


def get_tool_choice_expanded(of: CreateResponse | ResponseObject) -> ToolChoiceObject | None:
    """Return the tool choice as an object; None where it is `none` or was not made (H17.29).

    `auto` and `required` become an allowed-tools choice with that mode. Its list is empty: no tool is singled out, and
    all of the request's `tools` may be used.

    Raises:
        InvalidValue: it is a string of another value.
    """
    choice = given(of.tool_choice)
    if choice in ("auto", "required"):
        return ToolChoiceAllowed(tools=[], mode=choice)
    if choice is None or choice == "none":
        return None
    if isinstance(choice, str):
        raise InvalidValue("tool_choice", f"is {choice!r}; as a string it has to be 'none', 'auto' or 'required'")
    found: ToolChoiceObject = choice
    return found


def get_output_item_id(item: StoredItem) -> str:
    """Return the id of an item (H17.30).

    Raises:
        InvalidValue: it has none.
    """
    if not isinstance(item.id, str) or not item.id:
        raise InvalidValue("item", f"of type {item.type!r} has no id")
    return item.id


def to_output_item(item: InputItem, response_id: str) -> OutputItem | None:
    """Return an input item as an output item of the response *response_id*, with a new id in its partition (H17.27).

    Messages, reasoning and most calls and outputs become `completed`; the status of the other types is as it came, as
    are all other members. None stands for an item of an unknown type, and for what is never output: references,
    compaction triggers and configuration updates.
    """
    stored = None if isinstance(item, UnknownItem) else to_stored_item(item, response_id)
    return None if isinstance(stored, CompactionTrigger | ConfigurationUpdate) else stored


def to_stored_item(item: InputItem | StoredItem, response_id: str) -> StoredItem | None:
    """Return an input item as a server keeps it: as `to_output_item`, but nothing is lost for being unknown (H7.7).

    An item of an unknown type is as it came, but for a new id. None stands for references alone, which have to be
    looked up first; what is found can be stored anew like any other item (H11.15).
    """
    data = to_stored_data(item, response_id)
    stored: StoredItem | None = None if data is None else decode_union(data, StoredItem, "item")
    return stored


def to_stored_data(item: InputItem | StoredItem, response_id: str) -> dict[str, Any] | None:
    """Return what `to_stored_item` does as plain data, for a server that writes it and does not look into it."""
    if item.type == _REFERENCE or isinstance(item, ItemReference):
        return None
    plain = to_builtins(_message(item) if isinstance(item, InputMessage) else item)
    kind = plain["type"] if isinstance(plain.get("type"), str) else ""
    plain["id"] = new_item_id(kind, response_id)
    if kind in _COMPLETED and not isinstance(item, UnknownItem):
        plain["status"] = "completed"
    return plain


def to_item(item: OutputItem) -> InputItem | None:
    """Return an output item as it is sent back in an input, its id and status kept (H17.28).

    None stands for what has no form in an input: the items of the platform that only a service writes (items.md
    section 2).
    """
    if isinstance(item, ResponseOutputMessage):
        sent: InputItem = decode_union({"role": "assistant", **to_builtins(item)}, InputItem, "item")
        return sent
    return None if isinstance(item, PlatformItem) and not isinstance(item, MemorySearchCall) else item


def _items(value: str | list[InputItem] | None, role: str) -> list[InputItem]:
    if isinstance(value, str):
        return [InputMessage(role=role, content=[ResponseInputText(text=value)])]
    return [_expanded(item) for item in value or ()]


def _expanded(item: InputItem) -> InputItem:
    if isinstance(item, ItemReference):
        return msgspec.structs.replace(item, type=_REFERENCE)
    return _message(item) if isinstance(item, InputMessage) else item


def _message(sent: InputMessage) -> InputMessage:
    return msgspec.structs.replace(sent, type="message", content=get_content_expanded(sent))
