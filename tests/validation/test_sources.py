"""In whatever form a stream comes, and wherever it is cut, the report on it is the same."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BaseModel
from openai._models import construct_type
from openai.types.responses import Response, ResponseStreamEvent

from responses_stream import (
    EventValidator,
    InvalidType,
    InvalidValue,
    OutOfOrder,
    Report,
    ResponseEventStream,
    ResponseObject,
    flatten,
    validate_events,
)
from responses_stream.protocol.codec import decode_as, decode_event
from responses_stream.validation import Profile, Source
from responses_stream.validation.examples import Json, frame_of, names, stream_of
from responses_stream.validation.whole import Stream

from .client_streams import served

# Whole streams, and some that break rules of order: what is built wrongly, typed events cannot say.
NOTATIONS: Final = (
    *names(),
    "V1: drop 0-1",
    "V1: drop 3",
    'V1: set 6.text="Hallo"',
    "V2: drop 5",
    "V14: every 9-15 output_index=0",
    "V1: drop 9",
    'V1: insert 4 {"type":"acme:trace","span":{"id":1}}',
    'V1: set 9.response.output=[]; insert 10 {"type":"response.in_progress","response":{"$R":{}}}',
)
# Characters of one to four bytes, in a stream that breaks a rule in its middle and another one at its end.
MANY_BYTES: Final = stream_of(
    'V1: set 4.delta="H\u00e9\u20ac"; set 5.delta="\U0001f600\\n"; set 6.text="H\u00e9\u20ac\U0001f600"; '
    'set 7.part.text="H\u00e9\u20ac\U0001f600"; set 8.item.content.0.text="H\u00e9\u20ac\U0001f600"; '
    "drop 9"
)


def sse(events: list[Json]) -> bytes:
    return "".join(map(frame_of, events)).encode()


def lines(events: list[Json]) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


def typed(events: list[Json]) -> Iterator[Source]:
    return (decode_event(event) for event in events)


def read_by_openai(events: list[Json]) -> Stream:
    """The events as the client makes them of what it reads: without a check."""
    made = [construct_type(value=event, type_=ResponseStreamEvent) for event in events]
    assert all(isinstance(event, BaseModel) for event in made)
    return cast("list[Source]", made)


KINDS: Final[Mapping[str, Callable[[list[Json]], Stream]]] = {
    "dicts": lambda events: events,
    "a generator of dicts": lambda events: (event for event in events),
    "typed events": typed,
    "objects of the openai package": read_by_openai,
    "dicts and typed events": lambda events: [*events[:3], *(decode_event(event) for event in events[3:])],
    "SSE bytes": sse,
    "SSE text": lambda events: sse(events).decode(),
    "SSE in a bytearray": lambda events: bytearray(sse(events)),
    "SSE in a memoryview": lambda events: memoryview(sse(events)),
    "SSE with CRLF": lambda events: sse(events).replace(b"\n", b"\r\n"),
    "SSE behind a byte order mark": lambda events: b"\xef\xbb\xbf" + sse(events),
    "SSE frame by frame": lambda events: map(frame_of, events),
    "SSE byte by byte": lambda events: (bytes((byte,)) for byte in sse(events)),
    "JSON lines": lines,
    "JSON lines in bytes": lambda events: lines(events).encode(),
    "JSON lines behind empty ones": lambda events: f"\n\n{lines(events)}",
    "JSON lines without the last end": lambda events: lines(events).rstrip("\n"),
    "JSON line by line": lambda events: lines(events).splitlines(),
    "a JSON array": json.dumps,
    "a pretty-printed JSON array": lambda events: json.dumps(events, indent=2),
    "pretty-printed JSON values": lambda events: "\n".join(json.dumps(event, indent=4) for event in events),
    "JSON values wrapped with their names": lambda events: lines(
        [{"event": event["type"], "data": event} for event in events]
    ),
    "an open binary file": lambda events: io.BytesIO(sse(events)),
    "an open text file": lambda events: io.StringIO(lines(events)),
}


def told(report: Report) -> list[tuple[str, str, int, str, str, str]]:
    """What a report says, apart from the place in the text."""
    return [
        (found.rule, found.severity, found.index, found.path, found.message, found.expected)
        for found in report.violations
        if found.rule != "R008"
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_kind_of_input_gives_the_same_report(notation: str, kind: str) -> None:
    expected = validate_events(stream_of(notation))
    report = validate_events(KINDS[kind](stream_of(notation)))
    assert told(report) == told(expected)
    assert (report.events, report.ok, report.dialect) == (expected.events, expected.ok, None)


@pytest.mark.parametrize("write", [sse, lambda events: lines(events).encode()], ids=["SSE", "JSON lines"])
def test_a_file_is_opened_and_read(tmp_path: Path, write: Callable[[list[Json]], bytes]) -> None:
    path = tmp_path / "capture"
    events = stream_of("V1: drop 3")
    path.write_bytes(write(events))
    assert told(validate_events(path)) == told(validate_events(events))
    with path.open("rb") as binary, path.open(encoding="utf-8") as text:
        assert validate_events(binary) == validate_events(text) == validate_events(path)
    with pytest.raises(FileNotFoundError):
        validate_events(tmp_path / "nothing")


def test_what_the_builders_make_is_judged_as_it_is_made() -> None:
    stream = ResponseEventStream("resp_1", {"model": "m", "input": "Hi"})

    def said() -> Iterator[Source]:
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield from stream.output_item_message(["Hel", "lo"])
        yield stream.emit_completed()

    assert told(validate_events(said())) == []
    again = ResponseEventStream("resp_1", {"model": "m", "input": "Hi"})
    begun = flatten([again.emit_created(), again.emit_in_progress(), again.output_item_message(["Hel", "lo"])])
    report = validate_events(begun)
    assert [violation.rule for violation in report.violations] == ["R029"]


def pieces_of(text: bytes, cuts: list[int]) -> list[bytes]:
    return [text[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(text)])]


@pytest.mark.parametrize("text", [sse(MANY_BYTES), lines(MANY_BYTES).encode()], ids=["SSE", "JSON lines"])
def test_text_is_read_alike_wherever_it_is_cut_once(text: bytes) -> None:
    whole = validate_events(text)
    assert [violation.rule for violation in whole.violations] == ["R102", "R029"]
    for cut in range(len(text) + 1):
        assert validate_events([text[:cut], text[cut:]]) == whole


@given(
    data=st.data(),
    write=st.sampled_from([sse, lambda events: json.dumps(events, ensure_ascii=False, indent=1).encode()]),
)
def test_text_is_read_alike_wherever_it_is_cut(data: st.DataObject, write: Callable[[list[Json]], bytes]) -> None:
    text = write(MANY_BYTES)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert validate_events(pieces_of(text, cuts)) == validate_events(text)


@given(st.lists(st.integers(0, len(sse(MANY_BYTES).decode())), max_size=8))
def test_a_str_is_read_as_its_bytes(cuts: list[int]) -> None:
    text = sse(MANY_BYTES).decode()
    pieces = [text[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(text)])]
    assert validate_events(pieces) == validate_events(text.encode())


def test_each_violation_is_told_when_its_event_is_fed() -> None:
    validator = EventValidator()
    found = [validator.feed(event) for event in stream_of("V1: drop 3; drop 8")]
    at = {index: [violation.rule for violation in told] for index, told in enumerate(found) if told}
    assert at == {3: ["R093"]}
    assert validator.events == 8
    assert [violation.rule for violation in validator.finish()] == ["R029"]
    assert [violation.rule for violation in validator.report.violations] == ["R093", "R029"]


def test_the_report_can_be_read_at_any_time() -> None:
    validator = EventValidator()
    assert (validator.report.events, validator.report.ok) == (0, True)
    validator.feed(stream_of("V1")[1])
    assert (validator.report.events, validator.report.ok) == (1, False)


def test_the_violations_stand_in_the_order_of_the_stream() -> None:
    # That no frame has a name shows at the end, and is about the first frame.
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in stream_of("V1: drop 3"))
    assert [(found.rule, found.index) for found in validate_events(text).violations] == [("R003", 0), ("R093", 3)]


@pytest.mark.anyio
async def test_an_async_iterable_gives_an_awaitable() -> None:
    async def said(notation: str, text: bool) -> AsyncIterator[Source]:
        for event in stream_of(notation):
            yield frame_of(event) if text else event

    for notation in ("V1", "V1: drop 3"):
        for text in (False, True):
            assert told(await validate_events(said(notation, text))) == told(validate_events(stream_of(notation)))


@pytest.mark.anyio
async def test_the_stream_of_the_async_client_can_be_handed_over() -> None:
    with served() as base:
        async with openai.AsyncOpenAI(base_url=base, api_key="-", max_retries=0, timeout=30) as client:
            events = await client.responses.create(model="no_content_part", input="Hi", stream=True)
            report = await validate_events(events)
    assert [(found.rule, found.index) for found in report.violations] == [("R093", 3)]


def test_the_stream_of_the_client_can_be_handed_over() -> None:
    with served() as base, openai.OpenAI(base_url=base, api_key="-", max_retries=0, timeout=30) as client:
        report = validate_events(client.responses.create(model="split", input="Hi", stream=True))
        assert (report.events, report.violations) == (10, ())
        # What its helper makes of the events has more members, and says the same.
        with client.responses.stream(model="split", input="Hi") as helped:
            assert validate_events(helped).violations == ()


def test_what_the_client_read_without_checking_is_judged_as_it_came() -> None:
    # The client takes any value for any type; pydantic would warn of each when it writes them.
    events = stream_of(
        'V1: set 4.delta=7; set 2.item.status=["in_progress"]; set 9.response.output.0.type="thing"; '
        "set 9.response.created_at=null"
    )
    assert told(validate_events(read_by_openai(events))) == told(validate_events(events))


@pytest.mark.parametrize("finish", [sse, lambda events: lines(events).encode(), None], ids=["SSE", "lines", "dicts"])
def test_nothing_can_be_fed_behind_the_end(finish: Callable[[list[Json]], bytes] | None) -> None:
    events = stream_of("V1")
    validator = EventValidator()
    sources: list[Source] = [finish(events)] if finish else [*events]
    for source in sources:
        validator.feed(source)
    assert validator.finish() == []
    assert validator.finish() == []
    late: list[Source] = [events[4], b"data: {}\n\n", b"", "{}"]
    for source in late:
        with pytest.raises(OutOfOrder, match="a validator judges one stream"):
            validator.feed(source)
    assert (validator.events, validator.report.ok) == (10, True)


def test_nothing_can_be_fed_behind_the_end_even_one_more_delta() -> None:
    events = stream_of("V1")
    validator = EventValidator()
    for event in events[:5]:
        validator.feed(event)
    assert [violation.rule for violation in validator.finish()] == ["R029"]
    with pytest.raises(OutOfOrder):
        validator.feed(events[5])
    assert validator.finish() == []
    assert validator.events == 5


@pytest.mark.parametrize("nonsense", [None, 3, 3.5, True, object(), iter(())])
def test_what_is_no_event_is_refused(nonsense: Any) -> None:
    validator = EventValidator()
    with pytest.raises(InvalidType, match=r"^source: expected an event, a dict"):
        validator.feed(nonsense)
    assert validator.events == 0
    with pytest.raises(InvalidType, match=r"^source: "):
        validate_events([nonsense])


@pytest.mark.parametrize("nonsense", [None, 3, 3.5, object(), len])
def test_what_holds_no_events_is_refused(nonsense: Any) -> None:
    with pytest.raises(InvalidType, match=r"^source: expected events, bytes, text, a file, or an iterable"):
        validate_events(nonsense)


@pytest.mark.parametrize("argument", ["request", "retrieved", "original"])
def test_what_a_stream_is_held_against_has_to_be_readable(argument: str) -> None:
    nonsense: dict[str, Any] = {argument: [3]}
    with pytest.raises(InvalidType, match=rf"^{argument}: "):
        validate_events(stream_of("V1"), **nonsense)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    unknown: Any = "strickt"
    with pytest.raises(InvalidValue, match="the profiles are strict, lenient, openai, open-responses, azure"):
        EventValidator(unknown)
    with pytest.raises(InvalidValue, match="'sse' or 'websocket'"):
        EventValidator(transport=unknown)
    for argument in ("select", "ignore"):
        for rules_given, reason in (
            (["R999"], "'R999' is no rule"),
            ([""], "'' is no rule"),
            ("R029", "is the string 'R029'"),
        ):
            wrong: dict[str, Any] = {argument: rules_given}
            with pytest.raises(InvalidValue, match=f"{argument}: {reason}"):
                EventValidator(**wrong)
    with pytest.raises(InvalidValue, match="at least 1, got 0"):
        EventValidator(max_frame_bytes=0)


def rules(notation: str, profile: Profile = "strict", **chosen: list[str]) -> list[tuple[str, str]]:
    settings: dict[str, Any] = {**chosen}
    found = validate_events(stream_of(notation), profile, **settings).violations
    return [(violation.rule, violation.severity) for violation in found]


def test_rules_are_selected_and_ignored_by_their_beginnings() -> None:
    broken = "V1: drop 3; drop 8"
    assert rules(broken) == [("R093", "error"), ("R029", "error")]
    assert rules(broken, select=["R09"]) == [("R093", "error")]
    assert rules(broken, ignore=["R093"]) == [("R029", "error")]
    assert rules(broken, select=["R0"], ignore=["R02", "R09"]) == []
    assert validate_events(stream_of(broken), ignore=["R"]).ok


def test_a_rule_that_is_off_is_judged_when_it_is_asked_for_by_its_whole_id() -> None:
    without = "V1: del 4.logprobs"
    assert rules(without, "lenient") == []
    assert rules(without, "lenient", select=["R109"]) == [("R109", "warning")]
    assert rules(without, "lenient", select=["R10"]) == []


def test_too_large_an_event_is_named_and_what_follows_is_judged() -> None:
    events = stream_of('V1: set 4.delta="' + "x" * 3000 + '"; set 9.response.status="in_progress"')
    for text in (sse(events), lines(events).encode()):
        for size in (len(text), 100):
            validator = EventValidator(max_frame_bytes=2000)
            for at in range(0, len(text), size):
                validator.feed(text[at : at + size])
            validator.finish()
            found = [(violation.rule, violation.index) for violation in validator.report.violations]
            assert found == [("R001", 4), ("R048", 9)]
            assert validator.oversized
            assert validator.events == 10
    assert validate_events(sse(stream_of("V1")), max_frame_bytes=2000).ok


def test_the_places_are_those_of_the_text() -> None:
    text = sse(stream_of("V1: drop 3"))
    [found] = validate_events(text).violations
    assert text[found.offset :].startswith(b"event: response.output_text.delta\n")
    assert (found.line, found.index) == (text[: found.offset].count(b"\n") + 1, 3)
    text = lines(stream_of("V1: drop 3")).encode()
    [found] = validate_events(text).violations
    assert text[found.offset :].startswith(b'{"type": "response.output_text.delta"')
    assert (found.line, found.index) == (4, 3)
    [found] = validate_events(stream_of("V1: drop 3")).violations
    assert (found.line, found.offset) == (None, None)


@pytest.mark.parametrize("kind", ["dict", "struct", "openai"])
def test_what_get_returned_may_come_in_any_form(kind: str) -> None:
    body = stream_of("V1")[9]["response"] | {"metadata": {"team": "b"}}
    retrieved: Any = {
        "dict": body,
        "struct": decode_as(body, ResponseObject),
        "openai": Response.construct(None, **body),
    }[kind]
    [found] = validate_events(stream_of("V1"), retrieved=retrieved).violations
    assert (found.rule, found.path) == ("R210", "$.response.metadata.team")
