"""What mypy must accept of `repaired`, and what it must refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, assert_type

from openai import AsyncStream, Stream
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import ResponseObject, accumulate, encode_stream
from responses_stream.agents.repairing import AsyncRepaired, Repaired, RepairReport, repaired
from responses_stream.protocol.events import ResponseStreamEvent


def now(dicts: list[dict[str, Any]], typed: Iterator[ResponseStreamEvent], theirs: Stream[OpenAIEvent]) -> None:
    assert_type(repaired(dicts), Repaired)
    assert_type(repaired(typed), Repaired)
    assert_type(repaired(theirs), Repaired)
    assert_type(repaired(b"data: {}\n\n"), Repaired)
    assert_type(repaired(dicts).report, RepairReport)
    assert_type(accumulate(repaired(dicts)), ResponseObject)
    encode_stream(repaired(dicts))
    repaired(3)  # type: ignore[call-overload]


def later(
    dicts: AsyncIterator[Mapping[str, Any]], pieces: AsyncIterator[bytes], theirs: AsyncStream[OpenAIEvent]
) -> None:
    assert_type(repaired(dicts), AsyncRepaired)
    assert_type(repaired(pieces), AsyncRepaired)
    assert_type(repaired(theirs), AsyncRepaired)
    assert_type(repaired(pieces).report, RepairReport)
