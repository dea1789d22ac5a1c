"""Reading: whatever a stream tells of, in whatever form it comes, is folded into the response, at any moment."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import Accumulator, DecodeError, InvalidType, ResponseEventStream, accumulate
from responses_stream.protocol import (
    Logprob,
    ResponseCompletedEvent,
    ResponseFunctionShellToolCallOutput,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseStreamEvent,
    to_builtins,
)
from responses_stream.sse import DONE, encode_event

from .builders.base_streams import NAMES, base_stream

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"


def every_kind() -> list[ResponseStreamEvent]:
    """A finished stream with most that can be streamed in it."""
    stream = ResponseEventStream("resp_1", {"model": "m"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    citation = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}
    events += stream.output_item_message(["Hel", "lo"], annotations=[citation])
    events += stream.output_item_refusal(["N", "o"])
    events += stream.output_item_reasoning(["H", "m"], encrypted_content="gAAA")
    events += stream.output_item_reasoning(text=["H", "m"])
    events += stream.output_item_function_call("f", "call_1", ['{"a"', ":1}"])
    events += stream.output_item_custom_tool_call("sql", "call_2", ["SELECT", " 1"])
    events += stream.output_item_code_interpreter_call(["1+", "1"], container_id="cntr_1")
    events += stream.output_item_mcp_call("docs", "search", ["{", "}"], output="[]")
    events += stream.output_item_shell_call("call_3", ["ls", "cd"])
    events += stream.output_item_shell_call_output(
        "call_3", [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 0}}]
    )
    events += stream.output_item_apply_patch_call("call_4", {"type": "create_file", "path": "a", "diff": "+b"})
    events += stream.output_item_web_search_call({"type": "search", "query": "q"})
    events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}))
    return events


def test_the_fold_of_a_stream_is_its_terminal_response() -> None:
    events = every_kind()
    terminal = events[-1]
    assert isinstance(terminal, ResponseCompletedEvent)
    assert accumulate(events) == terminal.response
    # The terminal event says it all; without it, the fold has to have the items by itself.
    assert accumulate(events[:-1]).output == terminal.response.output


def test_dicts_and_sse_fold_to_the_same() -> None:
    events = every_kind()
    plain = [to_builtins(event) for event in events]
    wire = b"".join(map(encode_event, events)) + DONE
    assert accumulate(plain) == accumulate(events)
    assert accumulate(wire) == accumulate(events)
    assert accumulate(wire.decode()) == accumulate(events)
    assert accumulate(wire[at : at + 7] for at in range(0, len(wire), 7)) == accumulate(events)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_an_async_source_is_awaited(anyio_backend: str) -> None:
    events = every_kind()

    async def chunks() -> AsyncIterator[bytes]:
        for event in events:
            yield encode_event(event)

    assert anyio_backend
    assert await accumulate(chunks()) == accumulate(events)


def test_a_snapshot_shows_what_was_said_so_far() -> None:
    reader, texts = Accumulator(), []
    before = reader.response
    assert before is None
    for event in every_kind():
        reader.feed(event)
        if event.type == "response.output_text.delta":
            assert reader.response is not None
            texts.append(reader.response.output_text)
    assert texts == ["Hel", "Hello"]


def test_a_snapshot_of_an_open_item_has_its_pieces() -> None:
    wanted: dict[str, tuple[str, Any]] = {
        "response.function_call_arguments.delta": ("arguments", '{"a":1}'),
        "response.custom_tool_call_input.delta": ("input", "SELECT 1"),
        "response.code_interpreter_call_code.delta": ("code", "1+1"),
        "response.mcp_call_arguments.delta": ("arguments", "{}"),
        "response.shell_call_command.delta": ("action", {"commands": ["ls", "cd"]}),
        "response.apply_patch_call_operation_diff.delta": ("operation", {"diff": "+b"}),
        "response.reasoning_summary_text.delta": ("summary", [{"text": "Hm", "type": "summary_text"}]),
        "response.reasoning_text.delta": ("content", [{"text": "Hm", "type": "reasoning_text"}]),
        "response.refusal.delta": ("content", [{"refusal": "No", "type": "refusal"}]),
    }
    reader, seen = Accumulator(), dict[str, Any]()
    for event in every_kind():
        reader.feed(event)
        if event.type in wanted:
            assert reader.response is not None
            seen[event.type] = to_builtins(reader.response.output[-1])[wanted[event.type][0]]
    for name, (_, value) in wanted.items():
        if isinstance(value, dict):
            assert value.items() <= seen[name].items(), name
        else:
            assert seen[name] == value, name


def test_the_status_of_a_search_shows_that_it_runs() -> None:
    reader, statuses = Accumulator(), []
    for event in every_kind():
        reader.feed(event)
        if event.type.startswith("response.web_search_call."):
            assert reader.response is not None
            statuses.append(to_builtins(reader.response.output[-1])["status"])
    assert statuses == ["in_progress", "searching", "searching"]


def test_annotations_and_log_probabilities_are_in_the_snapshot() -> None:
    events = every_kind()
    at = next(place for place, event in enumerate(events) if event.type == "response.output_text.annotation.added")
    message = accumulate(events[: at + 1]).output[0]
    assert isinstance(message, ResponseOutputMessage)
    part = message.content[0]
    assert isinstance(part, ResponseOutputText)
    assert isinstance(part.annotations, list)
    assert [annotation.type for annotation in part.annotations] == ["url_citation"]


def test_what_comes_later_changes_no_snapshot() -> None:
    reader, kept = Accumulator(), []
    for event in every_kind():
        reader.feed(event)
        assert reader.response is not None
        kept.append((reader.response, json.dumps(to_builtins(reader.response))))
    for response, then in kept:
        assert json.dumps(to_builtins(response)) == then


def test_interleaved_items_are_kept_apart() -> None:
    stream = ResponseEventStream("resp_1")
    reader = Accumulator()
    one = stream.add_output_item_function_call("f", "call_1")
    two = stream.add_output_item_function_call("g", "call_2")
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += [one.emit_added(), two.emit_added(), two.emit_arguments_delta("[2"), one.emit_arguments_delta("[1")]
    events.append(two.emit_arguments_delta("]"))
    for event in events:
        reader.feed(event)
    assert reader.response is not None
    assert [to_builtins(item)["arguments"] for item in reader.response.output] == ["[1", "[2]"]


def test_a_terminal_without_output_does_not_take_back_what_was_streamed() -> None:
    plain = [to_builtins(event) for event in every_kind()]
    plain[-1]["response"]["output"] = []  # A6: some servers end so
    assert len(accumulate(plain).output) == 12
    plain[-1]["response"]["output"] = None
    assert len(accumulate(plain).output) == 12


def test_a_failed_response_leaves_out_what_was_open() -> None:
    stream = ResponseEventStream("resp_1")
    message = stream.add_output_item_message()
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += [*stream.output_item_message("Done."), message.emit_added(), stream.emit_failed()]
    assert [item.type for item in accumulate(events).output] == ["message"]
    assert accumulate(events).status == "failed"


def test_events_without_numbers_are_read_all_the_same() -> None:
    events = every_kind()
    plain = [to_builtins(event) for event in events]
    for event in plain:
        del event["sequence_number"]
    assert accumulate(plain) == accumulate(events)


def test_a_stream_that_goes_on_from_stored_items_keeps_them() -> None:
    stored = accumulate(every_kind()[:-1])
    stream = ResponseEventStream("resp_1", response=stored)
    events: list[ResponseStreamEvent] = [stream.emit_in_progress(), *stream.output_item_message("More.")]
    assert len(accumulate(events).output) == len(stored.output) + 1


def test_an_error_alone_is_no_response() -> None:
    error = ResponseEventStream("resp_1").emit_error("server_error", "Broken.")
    reader = Accumulator()
    reader.feed(error)
    assert reader.error == error
    assert reader.response is None
    with pytest.raises(DecodeError, match="an error and no response"):
        accumulate([error])


def test_nothing_at_all_is_no_response() -> None:
    with pytest.raises(DecodeError, match=r"response\.created is missing"):
        accumulate([])


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidType, match="source: expected an event, a dict, or SSE"):
        Accumulator().feed(3)  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match="not JSON"):
        accumulate(b"data: nothing\n\n")


def test_reading_goes_on_behind_a_bad_frame() -> None:
    reader = Accumulator()
    wire = b"".join(map(encode_event, every_kind()))
    with pytest.raises(DecodeError):
        reader.feed(b"data: nothing\n\n" + wire)
    reader.feed(b"")
    assert reader.response == accumulate(wire)


@settings(max_examples=75, deadline=None)
@given(st.data())
def test_no_damage_makes_it_stumble(data: st.DataObject) -> None:
    plain = [to_builtins(event) for event in every_kind()]
    for _ in range(data.draw(st.integers(1, 8))):
        at, other = (data.draw(st.integers(0, len(plain) - 1)) for _ in range(2))
        damage = data.draw(st.sampled_from(["drop", "dup", "swap", "index"]))
        if damage == "drop" and len(plain) > 2:
            del plain[at]
        elif damage == "dup":
            plain.insert(at, plain[at])
        elif damage == "swap":
            plain[at], plain[other] = plain[other], plain[at]
        else:
            member = data.draw(st.sampled_from(["output_index", "content_index", "summary_index", "command_index"]))
            if member in plain[at]:
                plain[at] = {**plain[at], member: data.draw(st.integers(-2, 10**9))}
    reader = Accumulator()
    for event in plain:
        reader.feed(event)
        assert reader.response is None or to_builtins(reader.response)


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of real services are not beside this checkout")
@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recordings_fold_to_what_their_terminal_events_carry(path: Path) -> None:
    responses: list[list[dict[str, Any]]] = []
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "response.created":
            responses.append([])
        responses[-1].append(event)
    for events in responses:
        reader = Accumulator()
        for event in events:
            reader.feed(event)
        assert reader.ended
        assert reader.response is not None
        terminal = events[-1]["response"]
        assert to_builtins(reader.response) == terminal
        folded = to_builtins(accumulate(events[:-1]))["output"]
        assert without_secrets(folded) == without_secrets(terminal["output"])


def without_secrets(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Services encrypt anew for the terminal copy (R181)."""
    return [{name: value for name, value in item.items() if name != "encrypted_content"} for item in output]


def test_only_the_done_event_ends_an_item() -> None:
    events = every_kind()
    at = next(place for place, event in enumerate(events) if isinstance(event, ResponseOutputItemDoneEvent))
    before, after = accumulate(events[:at]).output[0], accumulate(events[: at + 1]).output[0]
    assert (to_builtins(before)["status"], to_builtins(after)["status"]) == ("in_progress", "completed")


def test_the_next_response_of_a_connection_begins_anew() -> None:
    reader = Accumulator()
    for event in every_kind():
        reader.feed(event)
    stream = ResponseEventStream("resp_2")
    message = stream.add_output_item_message()
    for event in (stream.emit_created(), stream.emit_in_progress(), message.emit_added()):
        reader.feed(event)
        assert not reader.ended
    assert reader.response is not None
    assert reader.response.id == "resp_2"
    assert len(reader.response.output) == 1


def test_what_a_shell_printed_so_far_is_in_a_typed_item() -> None:
    stream = ResponseEventStream("resp_1")
    item = stream.add_output_item_shell_call_output("call_1")
    output = item.add_output()
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress(), item.emit_added()]
    events += [output.emit_delta(stdout="a"), output.emit_delta(stdout="b", stderr="e")]
    shown = accumulate(events).output[0]
    assert isinstance(shown, ResponseFunctionShellToolCallOutput)
    assert [(entry.stdout, entry.stderr) for entry in shown.output] == [("ab", "e")]


def test_log_probabilities_gather_in_the_snapshot() -> None:
    stream = ResponseEventStream("resp_1")
    message = stream.add_output_item_message()
    part = message.add_text_content()
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += [message.emit_added(), part.emit_added()]
    events += [part.emit_delta(token, logprobs=[Logprob(token=token, logprob=-1)]) for token in ("Hel", "lo")]
    before = to_builtins(accumulate(events).output[0])["content"][0]
    assert [one["token"] for one in before["logprobs"]] == ["Hel", "lo"]
    events += [part.emit_text_done(), part.emit_done()]
    assert to_builtins(accumulate(events).output[0])["content"][0] == before


@pytest.mark.parametrize("name", NAMES)
def test_the_base_streams_of_the_catalogue_fold_to_their_terminal_response(name: str) -> None:
    plain = base_stream(name)
    terminal = plain[-1]["response"]
    assert to_builtins(accumulate(plain)) == terminal
    assert to_builtins(accumulate(plain[:-1]))["output"] == terminal["output"]


@settings(max_examples=75, deadline=None)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_no_damage_of_a_base_stream_makes_it_stumble(name: str, data: st.DataObject) -> None:
    """Members go, events go, come twice and change places; what is left is read, or said to be no event."""
    plain = base_stream(name)
    for _ in range(data.draw(st.integers(1, 6))):
        at, other = (data.draw(st.integers(0, len(plain) - 1)) for _ in range(2))
        damage = data.draw(st.sampled_from(["drop", "dup", "swap", "member"]))
        if damage == "drop" and len(plain) > 2:
            del plain[at]
        elif damage == "dup":
            plain.insert(at, copy.deepcopy(plain[other]))
        elif damage == "swap":
            plain[at], plain[other] = plain[other], plain[at]
        else:
            holder = plain[at]
            for _ in range(data.draw(st.integers(0, 2))):
                inner = [value for value in holder.values() if isinstance(value, dict)]
                holder = data.draw(st.sampled_from(inner)) if inner else holder
            member = data.draw(st.sampled_from(sorted(holder))) if holder else "x"
            holder[member] = data.draw(st.sampled_from([None, 3, "", [], {}, [3], {"type": 3}, -1, [[]]]))
    reader = Accumulator()
    for event in plain:
        with suppress(DecodeError):
            reader.feed(event)
        assert reader.response is None or to_builtins(reader.response)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda wire: wire.decode()])
def test_a_stream_may_be_given_whole_as_any_bytes_or_text(kind: Any) -> None:
    events = every_kind()
    wire = b"".join(map(encode_event, events))
    assert accumulate(kind(wire)) == accumulate(events)
    reader = Accumulator()
    reader.feed(kind(wire))
    assert reader.ended


@pytest.mark.parametrize("wrong", [3, None, {"type": "response.created"}])
def test_what_is_no_stream_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="events: expected SSE bytes or text, or an iterable of events"):
        accumulate(wrong)


def test_deltas_stand_behind_what_the_item_showed_when_it_was_added() -> None:
    plain = base_stream("V2")[:4]
    plain[2]["item"]["arguments"] = "{ "  # R070 forbids it, and readers have to live with it
    assert to_builtins(accumulate(plain).output[0])["arguments"] == '{ {"a"'


def texts_of(accumulator: Accumulator) -> list[str]:
    response = accumulator.response
    assert response is not None
    return [item.content[0].text for item in response.output if isinstance(item, ResponseOutputMessage)]  # type: ignore[union-attr]  # each has one text


def test_a_stream_that_is_taken_up_says_what_stays_of_it() -> None:
    """H18.35: a later `response.in_progress` stands for all that was said before it."""
    first = ResponseEventStream("resp_1")
    accumulator = Accumulator()
    for event in (first.emit_created(), first.emit_in_progress(), *first.output_item_message("one")):
        accumulator.feed(event)
    stored = accumulator.response
    assert stored is not None
    half = first.add_output_item_message()
    accumulator.feed(half.emit_added())
    second = ResponseEventStream("resp_1", response=to_builtins(stored))
    accumulator.feed(second.emit_in_progress())
    assert texts_of(accumulator) == ["one"], "the item that was open is taken back"
    for event in second.output_item_message("two"):
        accumulator.feed(event)
    assert texts_of(accumulator) == ["one", "two"]


def test_a_stream_that_is_begun_again_replaces_what_was_said() -> None:
    """H18.36, H18.38: its empty `response.in_progress` alone could be a sign of life; its first item tells."""
    accumulator = Accumulator()
    first, second = ResponseEventStream("resp_1"), ResponseEventStream("resp_1")
    said = [first.emit_created(), first.emit_in_progress(), *first.output_item_message("a")]
    said += [*first.output_item_message("b")]
    second.emit_created()
    said.append(second.emit_in_progress())
    for event in said:
        accumulator.feed(event)
    assert texts_of(accumulator) == ["a", "b"]
    for event in second.output_item_message("new"):
        accumulator.feed(event)
    assert texts_of(accumulator) == ["new"]
