"""The ids of what is relayed: which are ours, which stay because the upstream has to know them, and which collide."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from responses_stream import ResponseEventStream, validate_events
from responses_stream.agents.relaying import relay, relay_response
from responses_stream.errors import InvalidValue
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import partition_of
from responses_stream.validation.examples import stream_of

from ..builders.programs import as_dicts
from .upstreams import OURS, SECRET, Json, agentic, begun, said

# Under ids of ours.


def test_ids_are_ours_wherever_they_stand_and_calls_keep_theirs() -> None:
    told = as_dicts(said(relay(agentic(), response_id=OURS)))
    request, answer, call = told[-1]["response"]["output"]
    assert answer["approval_request_id"] == request["id"]
    assert call["call_id"] == "call_theirs"
    assert {partition_of(item["id"]) for item in (answer, call)} == {"a" * 18}
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == [request, answer, call]
    assert {item["response_id"] for item in (request, answer, call)} == {OURS}
    assert {(event["response"]["id"], event["response"]["response_id"]) for event in told if "response" in event} == {
        (OURS, OURS)
    }
    # The rest of the response is the upstream's.
    assert told[0]["response"]["instructions"] == SECRET


def test_without_an_id_of_ours_a_new_one_is_made_and_pinned_ids_stay() -> None:
    new = as_dicts(said(relay(agentic())))
    assert partition_of(new[0]["response"]["id"]) == partition_of(new[-1]["response"]["output"][1]["id"]) is not None
    assert as_dicts(said(relay(agentic(), ids="pinned"))) == agentic()
    pinned = as_dicts(said(relay(agentic(), response_id=OURS, ids="pinned")))
    assert [item["id"] for item in pinned[-1]["response"]["output"]] == ["mcpr_theirs", "mcpa_theirs", "call_theirs"]
    assert str(pinned).count("resp_theirs") == 0


def test_items_that_never_came_get_an_id_as_well() -> None:
    events = stream_of("V1: drop 2-8")
    told = said(relay(events, response_id=OURS))
    output = told[-1].response.output  # type: ignore[union-attr]
    assert partition_of(str(output[0].id)) == "a" * 18
    nameless = stream_of('V1: drop 2-8; set 2.response.output=[{"type":"acme:note","text":"x"}]')
    [item] = as_dicts(said(relay(nameless, response_id=OURS)))[-1]["response"]["output"]
    assert partition_of(item["id"]) == "a" * 18


@pytest.mark.parametrize("into", [False, True], ids=["whole", "into a stream"])
@pytest.mark.parametrize("where", ["added", "done", "completed", ""])
def test_an_item_without_an_id_gets_one_that_it_keeps(where: str, into: bool) -> None:
    stream = ResponseEventStream("resp_theirs", {"model": "theirs"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_function_call("get", "call_1", "{}", item_id="fc_theirs")
    events.append(stream.emit_completed())
    plain = as_dicts(events)
    for event in plain:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item is not None and where in event["type"]:
                del item["id"]
    told = said(relay(plain, stream=ResponseEventStream(OURS, {"model": "m"}) if into else None))
    assert validate_events(told).violations == ()


def test_vendor_events_go_along_and_name_what_they_mean() -> None:
    trace = '{"type":"acme:trace","item_id":"msg_01","output_index":0,"response_id":"resp_01","call_id":"msg_01"}'
    told = as_dicts(said(relay(stream_of(f"V1: insert 4 {trace}"), response_id=OURS)))
    item_id = told[2]["item"]["id"]
    assert told[4] == {
        "type": "acme:trace",
        "item_id": item_id,
        "output_index": 0,
        "response_id": OURS,
        "call_id": "msg_01",
        "sequence_number": 4,
    }
    stream, first = begun()
    first += stream.output_item_message("before")
    inside = as_dicts(said(relay(stream_of(f"V1: insert 4 {trace}"), stream=stream)))
    assert (inside[2]["item_id"], inside[2]["output_index"]) == (inside[0]["item"]["id"], 1)


# Several upstreams in one stream.


def test_pinned_ids_are_claimed() -> None:
    stream, told = begun()
    told += relay(stream_of("V1"), stream=stream, ids="pinned")
    assert told[2].item.id == "msg_01"  # type: ignore[union-attr]
    with pytest.raises(InvalidValue, match=r"'msg_01' is already the id of an item of this response \(R064\)"):
        said(relay(stream_of("V1"), stream=stream, ids="pinned"))


def test_calls_are_claimed() -> None:
    stream, told = begun()
    told += relay(agentic(), stream=stream)
    with pytest.raises(InvalidValue, match="R162"):
        stream.add_output_item_function_call("get", "call_theirs")
    upstream = agentic()[:-1]
    [call] = [event for event in upstream if event["type"].endswith("added") and event["output_index"] == 2]
    again = {**call, "output_index": 3, "item": {**call["item"], "id": "fc_2"}}
    with pytest.raises(InvalidValue, match=r"'call_theirs' is already the id of a call of this response \(R162\)"):
        said(relay([*upstream, again], stream=begun()[0]))


@pytest.mark.parametrize("repair", [False, True])
def test_a_call_of_another_upstream_with_the_same_id_gets_a_new_one(repair: bool) -> None:
    """Servers that count their calls from call_0 in each response."""
    other = as_dicts(programmed())
    stream, told = begun()
    told += relay(other, stream=stream, repair=repair)
    told += relay(other, stream=stream, repair=repair)
    told += relay_response(other[-1]["response"], stream)
    told.append(stream.emit_completed())
    assert validate_events(told).violations == ()
    output = as_dicts(told)[-1]["response"]["output"]
    calls = [item["call_id"] for item in output if item["type"] == "program"]
    assert (calls[0], len(set(calls))) == ("call_0", 3)
    assert [item["caller"]["caller_id"] for item in output if item["type"] == "function_call"] == calls
    assert [item["call_id"] for item in output if item["type"] == "program_output"] == calls
    assert {event.type for event in told if "call_1" in str(event)} >= {"response.output_item.done"}


def programmed() -> list[ResponseStreamEvent]:
    """An upstream whose program calls a function of the client, and has an output."""
    stream = ResponseEventStream("resp_theirs", {"model": "theirs"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    caller = {"type": "program", "caller_id": "call_0"}
    for item in (
        {"type": "program", "call_id": "call_0", "code": "get()", "fingerprint": "f"},
        {"type": "function_call", "call_id": "call_1", "name": "get", "arguments": "{}", "caller": caller},
        {"type": "program_output", "call_id": "call_0", "result": "", "status": "completed"},
    ):
        events += stream.output_item(item)
    return [*events, stream.emit_completed()]


# Ids that the upstream has to get back.


def remembering(given: Sequence[Json] = ()) -> list[Json]:
    """An upstream that binds what it encrypts, and what it asks for, to the ids of its items, as OpenAI does."""
    for item in given:
        if item["type"] in ("reasoning", "compaction"):
            assert item["encrypted_content"] == f"sealed for {item['id']}"
        elif item["type"] == "mcp_approval_response":
            assert item["approval_request_id"] == "mcpr_theirs"
    stream = ResponseEventStream("resp_theirs", {"model": "theirs"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    for item in (
        {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "sealed for rs_theirs"},
        {"type": "compaction", "id": "cmp_theirs", "encrypted_content": "sealed for cmp_theirs"},
        {"type": "mcp_approval_request", "id": "mcpr_theirs", "server_label": "files", "name": "rm", "arguments": "{}"},
        {"type": "acme:thought", "id": "th_theirs", "encrypted_content": "sealed for th_theirs"},
    ):
        events += stream.output_item(item)
    return as_dicts([*events, stream.emit_completed()])


@pytest.mark.parametrize("early", [True, False], ids=["added with the item", "only when it is done"])
@pytest.mark.parametrize("how", ["whole", "into a stream", "in one piece"])
def test_a_second_turn_brings_back_what_the_upstream_has_bound_to_an_id(how: str, early: bool) -> None:
    """oh-my-pi#290, openclaw#71448, bifrost#5186"""
    upstream = remembering()
    for event in upstream:
        if early and event["type"] == "response.output_item.added" and event["item"]["type"] == "reasoning":
            event["item"]["encrypted_content"] = "sealed"
    stream = ResponseEventStream(OURS, {"model": "m"})
    if how == "in one piece":
        told = said(relay_response(upstream[-1]["response"], stream))
    else:
        told = said(relay(upstream, response_id=OURS, stream=stream if how == "into a stream" else None))
    assert validate_events(told).violations == ()
    output = as_dicts(told)[-1]["response"]["output"]
    assert [item["id"] for item in output] == ["rs_theirs", "cmp_theirs", "mcpr_theirs", "th_theirs"]
    answer = {"type": "mcp_approval_response", "approval_request_id": output[2]["id"], "approve": True}
    remembering([*output[:2], answer])


def test_bound_ids_of_two_upstreams_do_not_collide() -> None:
    stream, told = begun()
    told += relay(remembering(), stream=stream)
    told += relay(remembering(), stream=stream)
    told += relay_response(remembering()[-1]["response"], stream)
    told.append(stream.emit_completed())
    assert validate_events(told).violations == ()
    ids = [item["id"] for item in as_dicts(told)[-1]["response"]["output"]]
    assert ids[:4] == ["rs_theirs", "cmp_theirs", "mcpr_theirs", "th_theirs"]
    assert {partition_of(item_id) for item_id in ids[4:]} == {"a" * 18}
