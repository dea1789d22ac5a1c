"""What judging costs: decoded events against decoding them, and a capture in SSE against `json.loads` (issue 3).

The stream is a mix as services send it: reasoning with summaries, long texts in small pieces, function calls, searches.
The same stream is judged as dicts, and as bytes in pieces of the size in which the command line reads files.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import msgspec

from responses_stream import EventValidator, ResponseEventStream
from responses_stream.protocol.codec import decode, encode, to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.sse import DONE, encode_event
from responses_stream.validation import Profile
from tests.benchmarks.measuring import Promise, best_of_turns

CHUNK = 256 * 1024
FEW, MANY = 1_000, 100_000
MIXED, ROUND = 20_000, 1_000
WORDS = ("The", "Moon", "turns", "once", "about", "its", "axis", "each", "time", "it", "goes", "around", "us")


def pieces(count: int) -> list[str]:
    return [f" {word}" for word in itertools.islice(itertools.cycle(WORDS), count)]


def said(stream: ResponseEventStream, turn: int, size: int) -> Iterator[ResponseStreamEvent]:
    """One round of a long answer, of about *size* events, half of them pieces of text."""
    yield from stream.output_item_reasoning_item(pieces(size // 5))
    yield from stream.output_item_message(pieces(size // 2))
    search = stream.add_output_item_file_search_call()
    yield search.emit_added()
    yield search.emit_in_progress()
    yield search.emit_searching()
    yield search.emit_completed()
    yield search.emit_done()
    arguments = [json.dumps("".join(pieces(4)))[1:-1] for _ in range(size // 5)]
    yield from stream.output_item_function_call("draw", f"call_{turn}", ['{"subject": "', *arguments, '"}'])


def mixed(count: int) -> list[ResponseStreamEvent]:
    """A stream of about *count* events."""
    stream = ResponseEventStream("resp_bench", {"model": "m", "input": "Why does the moon show one face?"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    for turn in range(count // ROUND):
        events += said(stream, turn, ROUND)
    return [*events, stream.emit_completed()]


def texts(count: int) -> list[dict[str, Any]]:
    """The beginning of a stream of one text in *count* pieces."""
    stream = ResponseEventStream("resp_bench", {"model": "m", "input": "x"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    message = stream.add_output_item_message()
    events.append(message.emit_added())
    text = message.add_text_content()
    events.append(text.emit_added())
    events += map(text.emit_delta, pieces(count))
    return [to_builtins(event) for event in events]


def judged(sources: Iterable[Any], profile: Profile = "strict") -> EventValidator:
    validator = EventValidator(profile)
    for source in sources:
        validator.feed(source)
    return validator


def checked(sources: Iterable[Any], count: int) -> None:
    """The stream is as valid as it should be, so that the way of errors is not what is measured."""
    validator = judged(sources)
    validator.finish()
    report = validator.report
    assert report.events == count, report.events
    assert not report.violations, str(report)


def each(call: Any, sources: Iterable[Any]) -> None:
    for source in sources:
        call(source)


def streams_of(events: list[dict[str, Any]]) -> None:
    for _ in range(MANY // FEW):
        judged(events)


def promises() -> Iterator[Promise]:
    events = mixed(MIXED)
    lines = [encode(event) for event in events]
    plain = [msgspec.json.decode(line) for line in lines]
    body = b"".join(map(encode_event, events)) + DONE
    chunks = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    checked(plain, len(events))
    checked(events, len(events))
    checked(chunks, len(events))

    best = best_of_turns(
        {
            "dicts": partial(judged, plain),
            "typed": partial(judged, events),
            "text": partial(judged, chunks),
            "msgspec": partial(each, msgspec.json.Decoder().decode, lines),
            "decode": partial(each, decode, lines),
            "json": partial(each, json.loads, lines),
        },
        15,
    )
    yield Promise("judging a decoded stream, against msgspec decoding it", best["dicts"] / best["msgspec"], 3.0)
    yield Promise("  the same, against decoding it into our types", best["dicts"] / best["decode"], 3.0)
    yield Promise("judging a stream of our types, against decoding it into them", best["typed"] / best["decode"], 3.0)
    yield Promise("judging a capture in SSE, against json.loads of its data lines", best["text"] / best["json"], 4.0)

    few, many = texts(FEW), texts(MANY)
    flat = best_of_turns({"few": partial(streams_of, few), "many": partial(judged, many)}, 10)
    opening = best_of_turns({"opening": lambda: [judged(few[:4]) for _ in range(MANY // FEW)]}, 10)["opening"]
    yield Promise(
        f"an event of a stream of {MANY:,}, against one of a stream of {FEW:,}",
        flat["many"] / (flat["few"] - opening),
        1.1,
    )
