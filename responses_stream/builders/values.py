"""What builders take: arguments are checked before anything is changed, and copied where a caller could change them.

The codec is imported where it is used: a stream that is built from text alone does not load it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.protocol.base import Wire
from responses_stream.protocol.hosted_items import WebSearchAction
from responses_stream.protocol.parts import Logprob, TextAnnotation, TopLogprob
from responses_stream.protocol.response import InputTokensDetails, OutputTokensDetails, ResponseUsage

T = TypeVar("T")
W = TypeVar("W", bound=Wire)


def text(argument: str, value: str) -> str:
    """Return *value* when it is text that can be sent.

    Raises:
        InvalidType: it is not a string.
        InvalidValue: it holds a lone surrogate, which UTF-8 cannot carry.
    """
    if not isinstance(value, str):
        raise InvalidType(argument, "a string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(
                argument, f"holds a lone surrogate at character {error.start}, which cannot be sent as UTF-8"
            ) from None
    return value


def name(argument: str, value: str) -> str:
    """Return *value* when it is text that is not empty.

    Raises:
        InvalidType: it is not a string.
        InvalidValue: it is empty, or holds a lone surrogate.
    """
    if not text(argument, value):
        raise InvalidValue(argument, "is empty")
    return value


def texts(argument: str, values: Sequence[str]) -> list[str]:
    """Return a list of texts.

    Raises:
        InvalidType: it is a single string, or one of them is not a string.
        InvalidValue: one of them cannot be sent.
    """
    if isinstance(values, str):
        raise InvalidType(argument, "a list of strings", values)
    return [text(f"{argument}[{at}]", value) for at, value in enumerate(values)]


def struct(argument: str, value: W | Mapping[str, Any], kind: type[W]) -> W:
    """Return *value* as a *kind* of its own, whether it came as one or as plain data.

    Raises:
        InvalidType: it is neither.
        InvalidValue: a member of it does not fit; the message names the path.
    """
    from responses_stream.protocol.codec import decode_as, to_builtins

    if not isinstance(value, kind | Mapping):
        raise InvalidType(argument, f"{kind.__name__} or a dict", value)
    data = dict(value) if isinstance(value, Mapping) else to_builtins(value)
    _check_numbers(argument, data)
    try:
        return decode_as(copy.deepcopy(data), kind, strict=True)
    except DecodeError as error:
        raise InvalidValue(argument, str(error)) from None


def one_of(argument: str, value: Wire | Mapping[str, Any], union: object, what: str) -> Any:
    """Return *value* as one of *union*, whether it came as one or as plain data; unknown types are kept.

    Raises:
        InvalidType: it is neither a wire value nor a dict.
        InvalidValue: a member of it does not fit; the message names the path.
    """
    from responses_stream.protocol.codec import decode_union, to_builtins

    if not isinstance(value, Wire | Mapping):
        raise InvalidType(argument, f"{what} or a dict", value)
    data = dict(value) if isinstance(value, Mapping) else to_builtins(value)
    _check_numbers(argument, data)
    try:
        return decode_union(copy.deepcopy(data), union, what, strict=True)
    except DecodeError as error:
        raise InvalidValue(argument, str(error)) from None


def _check_numbers(argument: str, data: object) -> None:
    """JSON has no NaN and no infinity, and msgspec would write null for them without a word."""
    if isinstance(data, float) and not math.isfinite(data):
        raise InvalidValue(argument, f"is {data}, which JSON cannot say")
    if isinstance(data, Mapping):
        for key, member in data.items():
            _check_numbers(f"{argument}.{key}", member)
    elif isinstance(data, list | tuple):
        for at, member in enumerate(data):
            _check_numbers(f"{argument}[{at}]", member)


def structs(argument: str, given: Sequence[W | Mapping[str, Any]], kind: type[W]) -> list[W]:
    """Return a list of *kind*, each as for `struct`.

    Raises:
        InvalidType, InvalidValue: one of them does not fit.
    """
    return [struct(f"{argument}[{at}]", value, kind) for at, value in enumerate(given)]


def all_of(argument: str, given: Sequence[Wire | Mapping[str, Any]], union: object, what: str) -> list[Any]:
    """Return a list of *union*, each as for `one_of`.

    Raises:
        InvalidType, InvalidValue: one of them does not fit.
    """
    return [one_of(f"{argument}[{at}]", value, union, what) for at, value in enumerate(given)]


def web_search_action(action: WebSearchAction | Mapping[str, Any]) -> WebSearchAction:
    """Return the action of a web search.

    Raises:
        InvalidType, InvalidValue: it does not fit.
    """
    taken: WebSearchAction = one_of("action", action, WebSearchAction, "web search action")
    return taken


def annotation(value: TextAnnotation | Mapping[str, Any]) -> TextAnnotation:
    """Return an annotation whose offsets could be right (R119).

    Raises:
        InvalidType: it is neither an annotation nor a dict.
        InvalidValue: a member is missing, of the wrong type, negative, or the end comes before the start.
    """
    taken: TextAnnotation = one_of("annotation", value, TextAnnotation, "annotation")
    for member in ("index", "start_index", "end_index"):
        place = getattr(taken, member, 0)
        if place < 0:
            raise InvalidValue(f"annotation.{member}", f"is negative: {place}")
    start, end = getattr(taken, "start_index", 0), getattr(taken, "end_index", None)
    if end is not None and end < start:
        raise InvalidValue("annotation.end_index", f"is {end} and comes before start_index {start} (R119)")
    return taken


def logprobs(values: Sequence[Logprob]) -> list[Logprob]:
    """Return log probabilities in their full form, which every client's types accept: with `bytes` and `top_logprobs`.

    Raises:
        InvalidType: one of them is not a `Logprob`.
    """
    return [_full_logprob(f"logprobs[{at}]", value) for at, value in enumerate(values)]


def _full_logprob(argument: str, value: Logprob) -> Logprob:
    taken = struct(argument, value, Logprob)
    tops = taken.top_logprobs or []
    full = [TopLogprob(token=top.token, logprob=top.logprob, bytes=_bytes(top), extra=top.extra) for top in tops]
    return Logprob(
        token=text(argument, taken.token),
        logprob=taken.logprob,
        bytes=_bytes(taken),
        top_logprobs=full,
        extra=taken.extra,
    )


def _bytes(value: Logprob | TopLogprob) -> list[int]:
    return list(value.token.encode()) if value.bytes is UNSET or value.bytes is None else value.bytes


def usage(value: ResponseUsage | Mapping[str, Any] | None) -> ResponseUsage | None:
    """Return a usage that adds up, its details in full (R057, B1).

    Raises:
        InvalidType: it is neither a usage, a dict nor None.
        InvalidValue: a count is negative, or the counts do not add up.
    """
    if value is None:
        return None
    taken = struct("usage", value, ResponseUsage)
    details_in = taken.input_tokens_details or InputTokensDetails()
    details_out = taken.output_tokens_details or OutputTokensDetails()
    full = ResponseUsage(
        input_tokens=taken.input_tokens,
        output_tokens=taken.output_tokens,
        total_tokens=taken.total_tokens,
        input_tokens_details=InputTokensDetails(
            cached_tokens=details_in.cached_tokens or 0,
            cache_write_tokens=details_in.cache_write_tokens or 0,
            cache_write_tokens_details=details_in.cache_write_tokens_details,
            extra=details_in.extra,
        ),
        output_tokens_details=OutputTokensDetails(
            reasoning_tokens=details_out.reasoning_tokens or 0, extra=details_out.extra
        ),
        extra=taken.extra,
    )
    cached, thought = details_in.cached_tokens or 0, details_out.reasoning_tokens or 0
    counts = {
        "input_tokens": full.input_tokens,
        "output_tokens": full.output_tokens,
        "total_tokens": full.total_tokens,
        "input_tokens_details.cached_tokens": cached,
        "output_tokens_details.reasoning_tokens": thought,
    }
    for member, count in counts.items():
        if count < 0:
            raise InvalidValue(f"usage.{member}", f"is negative: {count} (R057)")
    if full.total_tokens != full.input_tokens + full.output_tokens:
        raise InvalidValue(
            "usage.total_tokens",
            f"is {full.total_tokens}, but input and output make {full.input_tokens + full.output_tokens} (R057)",
        )
    if cached > full.input_tokens:
        raise InvalidValue("usage.input_tokens_details.cached_tokens", f"is {cached}, more than all input (R057)")
    if thought > full.output_tokens:
        raise InvalidValue("usage.output_tokens_details.reasoning_tokens", f"is {thought}, more than all output (R057)")
    return full


def or_unset(value: T | None) -> T | UnsetType:
    """Return *value*, or UNSET for None: the member is then left out."""
    return UNSET if value is None else value


def json(argument: str, value: Any) -> Any:
    """Return a copy of *value*, which has to be plain JSON.

    Raises:
        InvalidType: something in it is not JSON.
        InvalidValue: a string in it holds a lone surrogate.
    """
    _check_numbers(argument, value)
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except TypeError as error:
        raise InvalidType(argument, f"plain JSON ({error})", value) from None
    except UnicodeEncodeError:
        raise InvalidValue(argument, "holds a lone surrogate, which cannot be sent as UTF-8") from None
