"""A response that another server has given in one piece, said item by item (H19.11)."""

from __future__ import annotations

from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from openai._models import construct_type
from openai.types.responses import Response

from responses_stream import ResponseEventStream, accumulate, validate_events
from responses_stream.agents.relaying import UpstreamFailed, relay_response
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.codec import decode_as
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import partition_of
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation.examples import stream_of

from ..builders.programs import Program, as_dicts
from .test_relaying_programs import short_programs, without_ids

Json = dict[str, Any]

OURS: Final = "resp_" + "a" * 50
SECRET: Final = "the upstream's own"


def whole(notation: str = "V1") -> Json:
    response: Json = stream_of(notation)[-1]["response"]
    return response | {"instructions": SECRET}


def told_by(response: Any, stream: ResponseEventStream | None = None, **named: Any) -> list[ResponseStreamEvent]:
    return list(relay_response(response, stream or ResponseEventStream(OURS, {"model": "ours"}), **named))


def begun() -> tuple[ResponseEventStream, list[ResponseStreamEvent]]:
    stream = ResponseEventStream(OURS, {"model": "ours"})
    return stream, [stream.emit_created(), stream.emit_in_progress()]


def test_a_response_becomes_a_stream_of_ours() -> None:
    response = whole()
    for form in (response, decode_as(response, ResponseObject), construct_type(value=response, type_=Response)):
        told = told_by(form)
        assert validate_events(told).violations == ()
        answer = as_dicts(told)[-1]["response"]
        assert without_ids(answer["output"]) == without_ids(response["output"])
        assert (answer["usage"], answer["id"], answer["instructions"]) == (response["usage"], OURS, None)
        assert partition_of(answer["output"][0]["id"]) == "a" * 18
    pinned = told_by(response, ids="pinned")
    assert as_dicts(pinned)[-1]["response"]["output"] == response["output"]


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(short_programs())
def test_every_response_that_ended_well_can_be_relayed(program: Program) -> None:
    last = as_dicts(program.events)[-1]
    if last["type"] not in ("response.completed", "response.incomplete"):
        return
    told = told_by(last["response"])
    report = validate_events(told)
    assert {violation.rule for violation in report.violations} <= {
        violation.rule for violation in validate_events(program.events).violations
    }
    assert without_ids(as_dicts(told)[-1]["response"]["output"]) == without_ids(last["response"]["output"])


def test_what_the_upstream_has_put_into_its_items_is_not_told() -> None:
    response = whole()
    response["output"][0] |= {"response_id": "resp_01", "agent_reference": {"type": "agent_reference", "name": SECRET}}
    [item] = as_dicts(told_by(response))[-1]["response"]["output"]
    assert (item["response_id"], "agent_reference" in item) == (OURS, False)


def test_items_go_between_those_of_the_handler() -> None:
    stream, told = begun()
    told += stream.output_item_message("before")
    relayed = relay_response(whole(), stream)
    told += relayed
    told += stream.output_item_message("behind")
    told.append(stream.emit_completed(usage=relayed.usage))
    assert validate_events(told).violations == ()
    assert accumulate(told).output_text == "beforeHellobehind"
    assert (relayed.status, relayed.upstream and relayed.upstream.instructions) == ("completed", SECRET)


def test_a_response_that_failed_keeps_what_was_done() -> None:
    response = whole() | {"status": "failed", "error": {"code": "overloaded", "message": "Later."}}
    response["output"] = [*response["output"], {**response["output"][0], "id": "msg_02", "status": "in_progress"}]
    told = told_by(response)
    assert validate_events(told).violations == ()
    answer = as_dicts(told)[-1]["response"]
    assert (answer["status"], answer["error"]["code"], len(answer["output"])) == ("failed", "overloaded", 1)
    stream, first = begun()
    with pytest.raises(UpstreamFailed, match="overloaded: Later"):
        first.extend(relay_response(response, stream))
    first.append(stream.emit_failed())
    assert validate_events(first).violations == ()
    assert accumulate(first).output_text == "Hello"


def test_other_ends() -> None:
    cut = stream_of("V7")[-1]["response"]
    assert as_dicts(told_by(cut))[-1]["response"]["incomplete_details"] == cut["incomplete_details"]
    cancelled = told_by(whole() | {"status": "cancelled", "output": []})
    assert as_dicts(cancelled)[-1]["response"]["status"] == "cancelled"
    stream, _ = begun()
    with pytest.raises(UpstreamFailed, match="upstream_cancelled"):
        told_by(whole() | {"status": "cancelled", "output": []}, stream)


def test_what_cannot_be_relayed_is_refused_at_once() -> None:
    stream, _ = begun()
    with pytest.raises(InvalidValue, match=r"response.status: is 'queued'; only a response that has ended"):
        relay_response(whole() | {"status": "queued"}, stream)
    with pytest.raises(InvalidType, match="response: expected a response"):
        relay_response(cast("Any", 3), stream)
    with pytest.raises(DecodeError, match=r"\$.id: is required and missing"):
        relay_response({"object": "response"}, stream)
    with pytest.raises(InvalidValue, match="ids: is 'new'"):
        relay_response(whole(), stream, ids=cast("Any", "new"))
    queued = ResponseEventStream(OURS)
    queued.emit_created()
    with pytest.raises(OutOfOrder, match="R061"):
        told_by(whole(), queued)
