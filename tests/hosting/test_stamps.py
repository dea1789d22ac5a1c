"""What the server writes into responses and items: only what is missing, and never into what it was given."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from responses_stream import CreateResponse
from responses_stream.hosting.stamps import Stamp, stamp_of
from responses_stream.protocol.base import UnknownItem
from responses_stream.protocol.codec import decode_as, encode, from_json
from responses_stream.protocol.items import ResponseOutputMessage
from responses_stream.protocol.response import ResponseObject


def stamp(**request: Any) -> Stamp:
    asked = decode_as({"model": "m", **request}, CreateResponse)
    return stamp_of(asked, "resp_1", "session", 100, clock=lambda: 107.9)


def said(**members: Any) -> ResponseObject:
    return decode_as({"id": "resp_1", "output": [], **members}, ResponseObject)


def message(**members: Any) -> ResponseOutputMessage:
    return decode_as(
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [], **members},
        ResponseOutputMessage,
    )


AGENT = {"type": "agent_reference", "name": "tutor"}


def test_what_is_left_out_is_filled_in() -> None:
    """Decision 1: the settings of the request, or the documented defaults; nulls are written out."""
    data: dict[str, Any] = from_json(encode(stamp(temperature=0.5).response(said(status="in_progress"))))
    assert (data["temperature"], data["top_p"], data["model"], data["created_at"]) == (0.5, 1, "m", 100)
    assert (data["error"], data["usage"], data["completed_at"]) == (None, None, None)
    assert (data["response_id"], data["agent_session_id"]) == ("resp_1", "session")


def test_what_the_handler_said_is_kept() -> None:
    """H2.31, H2.34: but for the id, the session and the conversation, which are the server's."""
    whole = {"model": "other", "temperature": 0.1, "created_at": 7, "metadata": {"a": "b"}, "top_p": None}
    forced = {"response_id": "resp_x", "agent_session_id": "x", "conversation": {"id": "x"}}
    stamped = stamp(temperature=0.5, conversation="conv_1").response(said(**whole, **forced))
    for member, value in whole.items():
        assert msgspec.to_builtins(getattr(stamped, member)) == value
    assert (stamped.response_id, stamped.agent_session_id) == ("resp_1", "session")
    assert msgspec.to_builtins(stamped.conversation) == {"id": "conv_1"}


@pytest.mark.parametrize("named", [None, "", {"id": "conv_1"}, "conv_1"])
def test_the_conversation_is_an_object_where_one_was_named(named: object) -> None:
    """H9.24."""
    conversation = stamp(conversation=named).response(said()).conversation
    assert (
        msgspec.to_builtins(conversation) == {"id": "conv_1"}
        if named
        else conversation is UNSET or conversation is None
    )


@pytest.mark.parametrize(
    ("asked", "own", "wanted"),
    [
        (None, None, None),
        (AGENT, None, AGENT),
        (AGENT, {"type": "agent_reference"}, AGENT),
        (AGENT, {"type": "agent_reference", "name": "me"}, {"type": "agent_reference", "name": "me"}),
        (None, {"type": "agent_reference", "name": "me"}, {"type": "agent_reference", "name": "me"}),
    ],
)
def test_the_agent_of_a_response(asked: Any, own: Any, wanted: Any) -> None:
    """H2.34, H2.35."""
    stamped = stamp(agent_reference=asked).response(said(**({"agent_reference": own} if own else {})))
    assert (msgspec.to_builtins(stamped.agent_reference) if stamped.agent_reference else None) == wanted


@pytest.mark.parametrize(
    ("status", "told", "wanted"),
    [
        ("completed", {}, 107),
        ("completed", {"completed_at": None}, 107),
        ("completed", {"completed_at": 105}, 105),
        ("failed", {}, None),
        ("incomplete", {}, None),
        ("in_progress", {}, None),
    ],
)
def test_a_completed_response_says_when(status: str, told: dict[str, Any], wanted: int | None) -> None:
    """R052, H2.31: also where the handler leaves it out, and only there."""
    assert stamp().response(said(status=status, **told)).completed_at == wanted


def test_a_clock_that_goes_back_completes_nothing_before_it_began() -> None:
    """R052."""
    early = Stamp("resp_1", "s", None, None, 100, decode_as({}, CreateResponse), clock=lambda: 90.0)
    assert early.response(said(status="completed")).completed_at == 100


def test_items_say_which_response_and_agent_they_are_of() -> None:
    """H2.33."""
    item = stamp(agent_reference=AGENT).item(message())
    assert isinstance(item, ResponseOutputMessage)
    assert (item.response_id, msgspec.to_builtins(item.agent_reference)) == ("resp_1", AGENT)
    mine = message(response_id="mine", agent_reference={"type": "agent_reference", "name": "me"})
    assert stamp(agent_reference=AGENT).item(mine) is mine
    bare = stamp().item(message())
    assert isinstance(bare, ResponseOutputMessage)
    assert bare.agent_reference is UNSET


def test_unknown_items_are_stamped_too() -> None:
    """H2.33, W33."""
    item = stamp().item(UnknownItem(type="acme:x", extra={"a": 1}))
    assert isinstance(item, UnknownItem)
    assert item.extra == {"a": 1, "response_id": "resp_1"}
    assert stamp().item(item) is item


def test_the_items_of_an_output_are_stamped() -> None:
    stamped = stamp().response(said(output=[msgspec.to_builtins(message())]))
    assert [getattr(item, "response_id", None) for item in stamped.output] == ["resp_1"]
    assert stamp().response(said(), [message(id="other")]).output == [message(id="other")]


def test_nothing_that_was_given_is_changed() -> None:
    """H3.30."""
    given, item = said(output=[msgspec.to_builtins(message())]), message()
    before = copy.deepcopy((given, item))
    stamp(agent_reference=AGENT).response(given)
    stamp(agent_reference=AGENT).item(item)
    assert (given, item) == before
