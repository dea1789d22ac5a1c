"""What relaying costs: an upstream's event read, relayed and written, against reading and writing it (issue 6).

The stream is the mix of `tests.benchmarks.validating`. It comes as dicts and as SSE, and goes out as SSE: alone under
ids of our own, and into a stream of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import msgspec

from responses_stream import ResponseEventStream
from responses_stream.agents.relaying import relay
from responses_stream.protocol.codec import decode_event, encode
from responses_stream.sse import decode_events, encode_event
from tests.benchmarks.measuring import Promise, best_of_turns
from tests.benchmarks.validating import MIXED, checked, mixed

CHUNK = 8 * 1024


def plainly(events: Iterable[dict[str, Any]]) -> None:
    for event in events:
        encode_event(decode_event(event))


def plainly_decoded(chunks: list[bytes]) -> None:
    for event in decode_events(chunks):
        encode_event(event)


def whole(upstream: list[Any]) -> None:
    for event in relay(upstream, response_id="resp_" + "0" * 50):
        encode_event(event)


def into_a_stream(upstream: list[Any]) -> None:
    for event in relay(upstream, stream=ResponseEventStream("resp_" + "0" * 50)):
        encode_event(event)


def promises() -> Iterator[Promise]:
    events = mixed(MIXED)
    plain = [msgspec.json.decode(encode(event)) for event in events]
    body = b"".join(map(encode_event, events))
    chunks = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    # It is the relay that is measured, and not the way of errors.
    checked(list(relay(plain)), len(events))
    checked(list(relay(chunks, stream=ResponseEventStream("resp_" + "0" * 50))), len(events))

    best = best_of_turns(
        {
            "dicts": partial(plainly, plain),
            "dicts whole": partial(whole, plain),
            "dicts into": partial(into_a_stream, plain),
            "sse": partial(plainly_decoded, chunks),
            "sse whole": partial(whole, chunks),
            "sse into": partial(into_a_stream, chunks),
        },
        15,
    )
    for form, told in (("dicts", "dicts"), ("sse", "SSE")):
        against = "against decoding and encoding them"
        yield Promise(f"relaying {told} as a whole, {against}", best[f"{form} whole"] / best[form], 2.5)
        yield Promise(f"relaying {told} into a stream of ours, {against}", best[f"{form} into"] / best[form], 2.5)
