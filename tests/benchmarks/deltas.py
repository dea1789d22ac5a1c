"""What a token costs: builder call, order check and SSE bytes of one text delta (issue 2, "Speed").

Two rows are measured beside ours. *limit*: the text between two byte strings that were made before. *struct*: the same
event as a bare msgspec struct, made, encoded, and joined into its frame.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from functools import partial

import msgspec

from responses_stream import ResponseEventStream
from responses_stream.builders.texts import TextContentBuilder
from responses_stream.sse import encode_event
from tests.benchmarks.measuring import Promise, best_of_turns

DELTA = "hello"
FEW, MANY = 1_000, 100_000


class BareTextDelta(msgspec.Struct, frozen=True, tag="response.output_text.delta", tag_field="type"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object]


def open_text() -> TextContentBuilder:
    stream = ResponseEventStream("resp_bench")
    stream.emit_created()
    stream.emit_in_progress()
    message = stream.add_output_item_message(item_id="msg_" + "0" * 50)
    message.emit_added()
    text = message.add_text_content()
    text.emit_added()
    return text


def ours(count: int) -> None:
    emit_delta = open_text().emit_delta
    for _ in range(count):
        encode_event(emit_delta(DELTA))


def streams_of(count: int) -> None:
    for _ in range(MANY // count):
        ours(count)


def struct(count: int) -> None:
    encode = msgspec.json.Encoder().encode
    head, tail, item_id = b"event: response.output_text.delta\ndata: ", b"\n\n", "msg_" + "0" * 50
    for number in range(count):
        head + encode(BareTextDelta(number, item_id, 0, 0, DELTA, [])) + tail


def limit(count: int) -> None:
    encode = msgspec.json.Encoder().encode
    prefix, suffix = bytes(200), bytes(2)
    for _ in range(count):
        prefix + encode(DELTA) + suffix


def beyond_the_deltas(count: int) -> int:
    """Return the bytes that a builder holds after *count* deltas, the list of them left out."""
    deltas = [DELTA] * count
    tracemalloc.start()
    try:
        text = open_text()
        before, _ = tracemalloc.get_traced_memory()
        for delta in deltas:
            encode_event(text.emit_delta(delta))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before - sys.getsizeof(text._pieces)


def promises() -> Iterator[Promise]:
    count = 10_000
    best = best_of_turns(
        {"ours": partial(ours, count), "struct": partial(struct, count), "limit": partial(limit, count)}, 40
    )
    yield Promise("a text delta, against creating and encoding a bare struct", best["ours"] / best["struct"], 2.0)
    yield Promise("  the same, against joining prepared bytes", best["ours"] / best["limit"], None)

    # As many deltas in each row, so that only the length of the stream differs.
    flat = best_of_turns(
        {"few": partial(streams_of, FEW), "many": partial(ours, MANY)},
        10,
    )
    opening = best_of_turns({"opening": lambda: [open_text() for _ in range(MANY // FEW)]}, 10)["opening"]
    yield Promise(
        f"a delta of a stream of {MANY:,}, against one of a stream of {FEW:,}",
        flat["many"] / (flat["few"] - opening),
        1.1,
    )

    beyond_the_deltas(FEW)
    grown = beyond_the_deltas(MANY) - beyond_the_deltas(FEW)
    yield Promise(
        f"memory beyond the list of deltas, {MANY:,} against {FEW:,} deltas", max(grown, 0) / 1024, 1.0, "KiB"
    )
