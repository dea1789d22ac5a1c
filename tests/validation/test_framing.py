"""Bad input: whatever comes is judged to its end, with a position, and costs no more than what is open."""

from __future__ import annotations

import copy
import itertools
import json
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.validation import PROFILES, EventValidator, Report, Source, validate_events
from responses_stream.validation.examples import Json, frame_of, names, stream_of

GOOD: Final = stream_of("V1")
FRAMES: Final = [frame_of(event).encode() for event in GOOD]
LINES: Final = [f"{json.dumps(event)}\n".encode() for event in GOOD]
NOISE: Final = random.Random(7).randbytes(1 << 16)
DEEP: Final = 100_000
"""Far beyond what can be read, or walked through."""


def found(report: Report) -> list[tuple[str, int]]:
    return [(violation.rule, violation.index) for violation in report.violations]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


JUNK: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "noise": NOISE,
    "noise behind a brace": b"{" + NOISE,
    "noise behind a bracket": b"[" + NOISE,
    "noise in frames": b"".join(b"data: " + NOISE[at : at + 64] + b"\n\n" for at in range(0, 1 << 14, 64)),
    "a PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + NOISE[:4096],
    "a gzip": b"\x1f\x8b\x08\x00" + NOISE[:4096],
    "NUL bytes": bytes(1 << 16),
    "spaces": b" " * (1 << 16),
    "empty lines": b"\n" * (1 << 16),
    "CR only": b"\r" * (1 << 16),
    "half a byte order mark": b"\xef\xbb",
    "endless comments": b": waiting\n\n" * 20_000,
    "endless comments in one frame": b": waiting\n" * 20_000,
    "endless fields": b"event: x\nid: 4\nretry: 1\n\n" * 20_000,
    "open brackets": b"[" * DEEP,
    "open braces": b'{"a":' * DEEP,
    "deep JSON in a frame": b"data: " + b"[" * DEEP + b"]" * DEEP + b"\n\n",
    "deep JSON in a line": b'{"type":"response.created","x":' + b"[" * DEEP + b"]" * DEEP + b"}\n",
    "scalars": b"1 2 3\n",
    "a string": b'"data"\n',
    "HTML": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "plain text": b"upstream connect error or disconnect/reset before headers",
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("junk", JUNK.values(), ids=list(JUNK))
def test_junk_is_an_error_and_never_an_exception(junk: bytes, profile: Any) -> None:
    report = validate_events(junk, profile)
    assert not report.ok
    assert all(violation.message.isprintable() and len(violation.message) < 600 for violation in report.violations)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_are_judged_alike_however_they_are_cut(junk: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(junk)) for cut in cuts), len(junk)]
    pieces = [junk[begin:end] for begin, end in itertools.pairwise(places)]
    assert validate_events(pieces) == validate_events(junk)


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    for source in (text, f"data: {text}\n\n", f'{{"type": "{text}"}}', [text, text]):
        assert not validate_events(source).ok


@given(at=st.integers(0, len(b"".join(FRAMES)) - 1), byte=st.integers(0, 255), lines=st.booleans())
def test_one_wrong_byte_is_no_exception(at: int, byte: int, lines: bool) -> None:
    text = bytearray(b"".join(LINES if lines else FRAMES))
    text[at % len(text)] = byte
    found = validate_events(bytes(text)).violations
    assert len([violation for violation in found if violation.severity == "error"]) <= 2
    assert len(found) <= 6


@given(at=st.integers(0, len(b"".join(FRAMES)) - 1), junk=st.binary(min_size=1, max_size=20))
def test_junk_within_a_stream_is_no_exception(at: int, junk: bytes) -> None:
    text = b"".join(FRAMES)
    for damaged in (text[:at] + junk + text[at:], text[:at] + text[at + len(junk) :]):
        report = validate_events(damaged)
        # Where it looks like JSON now, each line is one thing that cannot be read.
        assert report.events <= damaged.count(b"\n") + len(junk) + 1
        assert len(report.violations) < 10


# What JSON can hold in any place of an event.
_VALUES: Final[list[Any]] = [
    *(None, True, -1, 0, 10**30, 10**400, 1.5, "", "x", "\ud800", [], [None], [[]], ["x"], [{}], {}),
    *({"type": []}, {"type": {}}, {"type": "output_text"}, {"a": {}}),
]


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*path, name)
        yield from _places(member, (*path, name))


def _all_places() -> dict[str, list[tuple[Any, ...]]]:
    """The members of all base streams, each once for a type of event, though many streams have it."""
    known = set()
    places: dict[str, list[tuple[Any, ...]]] = {}
    for name in names():
        events = stream_of(name)
        for at, *path in _places(events):
            kind = (events[at]["type"], *path)
            if path and kind not in known:
                known.add(kind)
                places.setdefault(name, []).append((at, *path))
    return places


@pytest.mark.parametrize(
    ("name", "places"),
    # The first has most of them; the others have what is left.
    [
        pytest.param(name, places, id=name, marks=[pytest.mark.slow] if at else [])
        for at, (name, places) in enumerate(_all_places().items())
    ],
)
def test_any_value_in_any_place_is_judged(name: str, places: list[tuple[Any, ...]]) -> None:
    events: Any = stream_of(name)
    for *path, last in places:
        holder = events
        for step in path:
            holder = holder[step]
        before = holder[last]
        for value in _VALUES:
            holder[last] = copy.deepcopy(value)
            assert validate_events(events).events == len(events)
        holder[last] = before


@pytest.mark.parametrize("value", [*_VALUES, {"a": 1}, 7, nested(2000)])
@pytest.mark.parametrize("argument", ["request", "retrieved"])
def test_any_value_in_what_a_stream_is_held_against_is_judged(argument: str, value: Any) -> None:
    body = GOOD[9]["response"]
    for member in [*body, "input", "store", "previous_response_id", "conversation", "stream", "background"]:
        settings: dict[str, Any] = {argument: body | {member: value}}
        assert validate_events(GOOD, **settings).events == len(GOOD)
        assert validate_events(GOOD, transport="websocket", **settings).events == len(GOOD)


@pytest.mark.parametrize("index", range(10))
def test_values_nested_too_deeply_are_judged(index: int) -> None:
    deep = nested(DEEP)
    for member in [*GOOD[index], "x"]:
        for value in (deep, {"type": "message", "id": deep, "metadata": deep}):
            report = validate_events([*GOOD[:index], GOOD[index] | {member: value}, *GOOD[index + 1 :]])
            assert report.events == len(GOOD)


def test_numbers_that_are_none_are_named() -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000):
        text = b"".join(FRAMES).replace(b'"sequence_number":4', f'"sequence_number":{number}'.encode())
        [violation] = validate_events(text).violations
        assert (violation.rule, violation.index) == ("R001", 4)
        begin = len(b"".join(FRAMES[:4]))
        assert violation.offset is not None
        assert begin <= violation.offset < begin + text[begin:].index(b"\n\n")


def test_of_members_that_are_there_twice_the_last_counts() -> None:
    text = b"".join(FRAMES)
    assert validate_events(text.replace(b'"delta":"Hel"', b'"delta":"x","delta":"Hel"')).violations == ()
    twice = text.replace(b'"delta":"Hel"', b'"delta":"Hel","delta":"x"')
    assert found(validate_events(twice)) == [("R102", 6)]


def test_half_a_surrogate_pair_is_told_of_and_judged_on() -> None:
    escaped = b"".join(FRAMES).replace(b"Hel", b"\\ud83d")
    assert found(validate_events(escaped))[0] == ("R001", 4)
    for text in (b"".join(FRAMES).decode(), b"".join(LINES).decode()):
        lone = text.replace("Hel", "\ud83d")
        assert found(validate_events(lone)) == [("R008", 4)]
        assert found(validate_events([*text.partition("Hel")[:1], "\ud83d", text.partition("Hel")[2]])) == [
            ("R008", 4),
            ("R102", 6),
        ]
    events = stream_of('V1: set 4.delta="\\ud83d"; set 5.delta="\\ude00"')
    assert found(validate_events(events)) == [("R102", 6)]


def test_bytes_that_are_no_utf8_are_told_of_once_and_replaced() -> None:
    for text in (b"".join(FRAMES), b"".join(LINES)):
        cut = text.replace(b"Hel", b"H\xc3l")
        [violation] = validate_events(cut).violations
        assert (violation.rule, violation.index) == ("R008", 4)
        assert violation.offset is not None
        assert cut[violation.offset] == 0xC3


# An event that cannot be read is one cause, though all that it would have said is missing.


def broken(pieces: list[bytes], at: int) -> bytes:
    return b"".join([*pieces[:at], pieces[at].replace(b'"type"', b'"type', 1), *pieces[at + 1 :]])


@pytest.mark.parametrize("notation", names())
@pytest.mark.parametrize("write", [frame_of, lambda event: f"{json.dumps(event)}\n"], ids=["SSE", "JSON lines"])
def test_an_event_that_cannot_be_read_is_one_error(notation: str, write: Callable[[Json], str]) -> None:
    pieces = [write(event).encode() for event in stream_of(notation)]
    for at in range(len(pieces)):
        report = validate_events(broken(pieces, at))
        errors = [(violation.rule, violation.index) for violation in report.violations if violation.severity == "error"]
        assert errors == [("R001", at)]
        assert report.events == len(pieces)


def test_what_is_wrong_beside_an_unreadable_event_is_told() -> None:
    events = stream_of('V1: set 9.response.status="in_progress"')
    pieces = [frame_of(event).encode() for event in events]
    assert found(validate_events(broken(pieces, 2))) == [("R001", 2), ("R048", 9)]


def test_chatter_that_takes_no_number_excuses_nothing() -> None:
    chatter = [*FRAMES[:2], b"event: ping\ndata: ping\n\n", *FRAMES[2:3], *FRAMES[4:]]
    assert found(validate_events(b"".join(chatter))) == [("R001", 2), ("R023", 4)]
    lone = [*FRAMES[:2], b"event: count\ndata: 5\n\n", *FRAMES[2:]]
    assert found(validate_events(b"".join(lone))) == [("R001", 2)]


def test_where_unreadable_events_are_not_asked_for_what_follows_is_told() -> None:
    report = validate_events(broken(FRAMES, 2), ignore=["R001"])
    assert found(report) == [("R023", 3)]


def test_the_place_of_what_cannot_be_read_is_told_to_the_byte() -> None:
    pretty = [json.dumps(event, indent=2).encode() + b"\n" for event in GOOD]
    for pieces in (FRAMES, LINES, pretty):
        text = b"".join(pieces).replace(b'"Hel"', b"Hel", 1)
        violation = validate_events(text).violations[0]
        assert (violation.rule, violation.index) == ("R001", 4)
        assert violation.offset is not None
        assert text[violation.offset :].startswith(b"Hel")
        assert violation.line == text[: violation.offset].count(b"\n") + 1


def test_a_stream_that_breaks_off_is_told_with_the_place() -> None:
    for pieces in (FRAMES, LINES):
        text = b"".join(pieces)
        [violation] = validate_events(text[:-30]).violations
        assert (violation.rule, violation.index, violation.severity) == ("R029", 9, "error")
        assert violation.offset == len(b"".join(pieces[:9]))
        assert "inside" in violation.message


def test_the_last_frame_needs_its_empty_line() -> None:
    text = b"".join(FRAMES)
    assert found(validate_events(text[:-1])) == [("R007", 9)]
    assert found(validate_events(text[:-2])) == [("R007", 9)]
    assert found(validate_events(text + b"data: [DONE]\n")) == [("R007", 10)]
    assert found(validate_events(text + b"data: {")) == [("R007", 10)]


def test_line_ends_and_marks_of_other_systems_are_read() -> None:
    text = b"".join(FRAMES)
    for odd in (text.replace(b"\n", b"\r"), text.replace(b"\n", b"\r\n")):
        assert found(validate_events(odd)) == [("R008", 0)]
    assert found(validate_events(b"\xef\xbb\xbf" + text)) == []
    assert found(validate_events(b"\n \r\n" + b"".join(LINES))) == []


def test_what_is_shown_of_a_stream_is_short_and_printable() -> None:
    wild = "\x1b[31m\ud800\n" + "x" * 100_000
    for name in (wild, f"response.{wild}", f"acme:{wild}"):
        events: list[Source] = [*GOOD[:4], {"type": name, "sequence_number": 4}, *GOOD[4:]]
        sources: list[list[Source] | str] = [events]
        sources.append("".join(frame_of(event) for event in GOOD).replace("event: response.created", f"event: {name}"))
        for source in sources:
            for violation in validate_events(source).violations:
                for text in (violation.message, violation.path, violation.expected):
                    assert text.isprintable()
                    assert len(text) < 2000


# Memory: what is open, and a little for each item.


def said(messages: Iterable[int], piece: str = "Hello") -> Iterator[Json]:
    """A stream without its terminal event: for each message, the number of its deltas."""
    created, in_progress, added, part, delta, _, text_done, part_done, done, _ = stream_of("V1")
    number = itertools.count()

    def event(like: Json, **members: Any) -> Json:
        return {**like, "sequence_number": next(number), **members}

    yield event(created)
    yield event(in_progress)
    for index, deltas in enumerate(messages):
        whole = piece * deltas
        place = {"output_index": index, "item_id": f"msg_{index}"}
        yield event(added, output_index=index, item={**added["item"], "id": f"msg_{index}"})
        yield event(part, **place)
        for _ in range(deltas):
            yield event(delta, **place, delta=piece)
        yield event(text_done, **place, text=whole)
        shown = {**part_done["part"], "text": whole}
        yield event(part_done, **place, part=shown)
        item = {**done["item"], "id": f"msg_{index}", "content": [shown]}
        yield event(done, output_index=index, item=item)


def kept(events: Iterator[Json], write: Callable[[Json], Source] | None) -> int:
    """How many bytes a validator holds behind the events."""
    validator = EventValidator()
    tracemalloc.start()
    try:
        validator.feed(write(next(events)) if write else next(events))
        before, _ = tracemalloc.get_traced_memory()
        for event in events:
            validator.feed(write(event) if write else event)
        del event
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert validator.report.violations == ()
    return after - before


@pytest.mark.parametrize(
    "write", [None, frame_of, lambda event: f"{json.dumps(event)}\n"], ids=["dicts", "SSE", "JSON lines"]
)
def test_memory_does_not_grow_with_the_deltas(write: Callable[[Json], Source] | None) -> None:
    kept(said([50, 1]), write)
    few, many = kept(said([100, 100, 1]), write), kept(said([5000, 5000, 1]), write)
    # Fifty thousand characters more, and the messages are done.
    assert many - few < 4 * 1024


def test_memory_grows_a_little_with_each_item_that_is_done() -> None:
    kept(said([1] * 5), None)
    few, many = kept(said([1] * 50), None), kept(said([1] * 1000), None)
    assert (many - few) / 950 < 4 * 1024
    long = kept(said([1] * 50, "x" * 50_000), None)
    assert (long - few) / 50 < 1024


def test_the_text_of_an_open_part_is_kept_and_little_more() -> None:
    events = itertools.islice(said([100_000]), 4 + 100_000)
    assert kept(events, None) < 3 * 500_000


@pytest.mark.parametrize(
    "event",
    [
        lambda n: {"type": f"response.magic_{n}", "sequence_number": n},
        lambda n: {"type": "acme:x" + "y" * 5000 + str(n), "sequence_number": n},
        lambda n: {"type": "response.magic" + "y" * 5000 + str(n), "sequence_number": n},
        lambda n: {"sequence_number": n * 2},
        lambda n: {"type": "response.output_text.delta", "output_index": n, "delta": "x"},
        lambda n: f"event: {'x' * 5000}{n}\ndata: {{}}\n\n",
        lambda n: f"data: {'x' * 5000}{n}\n\n",
    ],
)
def test_memory_does_not_grow_without_end_with_what_is_wrong(event: Callable[[int], Source]) -> None:
    def held(count: int) -> int:
        validator = EventValidator()
        tracemalloc.start()
        try:
            for number in range(count):
                validator.feed(event(number))
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    held(10)
    assert held(2000) - held(100) < 1900 * 4 * 1024


def test_no_more_than_so_many_violations_are_kept_and_the_rest_is_counted() -> None:
    validator = EventValidator()
    for _ in range(12_000):
        validator.feed("data: {\n\n")
    report = validator.report
    assert (len(report.violations), report.omitted, report.errors_omitted) == (10_000, 2000, True)
    assert not report.ok


@pytest.mark.parametrize("limit", [1, 100, 10_000])
def test_a_line_without_an_end_is_bounded(limit: int) -> None:
    for begin in (b"data: ", b"{", b"[", b": ", b"x"):
        validator = EventValidator(max_frame_bytes=limit)
        validator.feed(begin)
        tracemalloc.start()
        try:
            for _ in range(100):
                validator.feed(b"x" * 10_000)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < limit + 64 * 1024
        validator.finish()
        assert not validator.report.ok
