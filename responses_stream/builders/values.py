"""What builders take: arguments are checked before anything is changed, and copied where a caller could change them.

The codec is imported where it is used: a stream that is built from text alone does not load it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.protocol.base import Wire
from responses_stream.protocol.hosted_items import (
    WebSearchAction,
)
from responses_stream.protocol.parts import Logprob, TextAnnotation, TopLogprob
from responses_stream.protocol.response import InputTokensDetails, OutputTokensDetails, ResponseUsage

T = TypeVar("T")
W = TypeVar("W", bound=Wire)


def text(argument: str, value: str) -> str:
    """Return *value* as a plain string when it is text that can be sent.

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
    # msgspec writes no subclasses of str, and libraries of agents hand out their text in such.
    return value if value.__class__ is str else str.__str__(value)


def name(argument: str, value: str) -> str:
    """Return *value* when it is text that is not empty.

    Raises:
        InvalidType: it is not a string.
        InvalidValue: it is empty, or holds a lone surrogate.
    """
    given = text(argument, value)
    if not given:
        raise InvalidValue(argument, "is empty")
    return given


def text_or_none(argument: str, value: str | None) -> str | None:
    """Return *value* as `text` does; None is None.

    Raises:
        InvalidType, InvalidValue: as for `text`.
    """
    return None if value is None else text(argument, value)


def count_or_none(argument: str, value: int | None) -> int | None:
    """Return *value* when it is an integer from 0, or None.

    Raises:
        InvalidType: it is not an integer; a boolean is none.
        InvalidValue: it is negative.
    """
    if value is not None:
        integer(argument, value)
        if value < 0:
            raise InvalidValue(argument, f"is negative: {value}")
    return value


def integer(argument: str, value: int) -> int:
    """Return *value* when it is an integer.

    Raises:
        InvalidType: it is something else; a boolean is no integer.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(argument, "an integer", value)
    return value


def flag(argument: str, value: bool) -> bool:
    """Return *value* when it is a boolean.

    Raises:
        InvalidType: it is something else.
    """
    if not isinstance(value, bool):
        raise InvalidType(argument, "True or False", value)
    return value


def choice(argument: str, value: T, *choices: T) -> T:
    """Return *value* when it is one of *choices*.

    Raises:
        InvalidValue: it is not.
    """
    if value not in choices:
        raise InvalidValue(argument, f"is {value!r}; it has to be {' or '.join(map(repr, choices))}")
    return value


def texts(argument: str, values: Iterable[str]) -> list[str]:
    """Return a list of texts.

    Raises:
        InvalidType: it is a single string, no list, or one of them is not a string.
        InvalidValue: one of them cannot be sent.
    """
    return [text(f"{argument}[{at}]", value) for at, value in enumerate(_listed(argument, values))]


def text_map(argument: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return a dict of texts by texts.

    Raises:
        InvalidType: it is no dict, or something in it is not a string.
        InvalidValue: something in it cannot be sent.
    """
    if not isinstance(values, Mapping):
        raise InvalidType(argument, "a dict of strings", values)
    return {text(f"a key of {argument}", key): text(f"{argument}.{key}", value) for key, value in values.items()}


def plain(argument: str, value: Any) -> Any:
    """Return a copy of plain data, as JSON in UTF-8 will carry it.

    Raises:
        InvalidType: something in it is not JSON; the argument that is named has the path of it.
        InvalidValue: something in it cannot be sent: a lone surrogate, a number that is not finite, too many levels.
    """
    try:
        return _copied(argument, value)
    except RecursionError:
        raise InvalidValue(argument, "is nested too deeply to be sent") from None


def _copied(path: str, value: Any) -> Any:
    if isinstance(value, str):
        return text(path, value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            # msgspec would write null for it without a word.
            raise InvalidValue(path, f"is {value}, which JSON cannot say")
        return value
    if isinstance(value, Mapping):
        return {text(f"a key of {path}", key): _copied(f"{path}.{key}", held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(f"{path}[{at}]", held) for at, held in enumerate(value)]
    if isinstance(value, Wire):
        from responses_stream.protocol.codec import to_builtins

        try:
            members = to_builtins(value)
        except (TypeError, AttributeError) as error:  # the latter where `extra` is no dict
            raise InvalidType(path, f"plain JSON ({error})", value) from None
        return _copied(path, members)
    raise InvalidType(path, "plain JSON", value)


def struct(argument: str, value: W | Mapping[str, Any], kind: type[W]) -> W:
    """Return *value* as a *kind* of its own, whether it came as one or as plain data.

    Raises:
        InvalidType: it is neither.
        InvalidValue: a member of it does not fit; the message names the path.
    """
    from responses_stream.protocol.codec import decode_as

    if not isinstance(value, kind | Mapping):
        raise InvalidType(argument, f"{kind.__name__} or a dict", value)
    try:
        return decode_as(plain(argument, value), kind, strict=True)
    except DecodeError as error:
        raise InvalidValue(argument, str(error)) from None


def one_of(argument: str, value: Wire | Mapping[str, Any], union: object, what: str) -> Any:
    """Return *value* as one of *union*, whether it came as one or as plain data; unknown types are kept.

    Raises:
        InvalidType: it is neither a wire value nor a dict.
        InvalidValue: a member of it does not fit; the message names the path.
    """
    from responses_stream.protocol.codec import decode_union

    if not isinstance(value, Wire | Mapping):
        raise InvalidType(argument, f"{what} or a dict", value)
    try:
        return decode_union(plain(argument, value), union, what, strict=True)
    except DecodeError as error:
        raise InvalidValue(argument, str(error)) from None


def structs(argument: str, given: Sequence[W | Mapping[str, Any]], kind: type[W]) -> list[W]:
    """Return a list of *kind*, each as for `struct`.

    Raises:
        InvalidType, InvalidValue: one of them does not fit.
    """
    return [struct(f"{argument}[{at}]", value, kind) for at, value in enumerate(_listed(argument, given))]


def all_of(argument: str, given: Sequence[Wire | Mapping[str, Any]], union: object, what: str) -> list[Any]:
    """Return a list of *union*, each as for `one_of`.

    Raises:
        InvalidType, InvalidValue: one of them does not fit.
    """
    return [one_of(f"{argument}[{at}]", value, union, what) for at, value in enumerate(_listed(argument, given))]


def _listed(argument: str, given: Iterable[Any]) -> list[Any]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidType(argument, "a list", given)
    return list(given)


def web_search_action(action: WebSearchAction | Mapping[str, Any]) -> WebSearchAction:
    """Return the action of a web search.

    Raises:
        InvalidType, InvalidValue: it does not fit.
    """
    taken: WebSearchAction = one_of("action", action, WebSearchAction, "web search action")
    return taken


def annotation(value: TextAnnotation | Mapping[str, Any], argument: str = "annotation") -> TextAnnotation:
    """Return an annotation whose offsets could be right (R119).

    Raises:
        InvalidType: it is neither an annotation nor a dict.
        InvalidValue: a member is missing, of the wrong type, negative, or the end comes before the start.
    """
    taken: TextAnnotation = one_of(argument, value, TextAnnotation, "annotation")
    for member in ("index", "start_index", "end_index"):
        place = getattr(taken, member, 0)
        if place < 0:
            raise InvalidValue(f"{argument}.{member}", f"is negative: {place}")
    start, end = getattr(taken, "start_index", 0), getattr(taken, "end_index", None)
    if end is not None and end < start:
        raise InvalidValue(f"{argument}.end_index", f"is {end} and comes before start_index {start} (R119)")
    return taken


def all_annotations(given: Iterable[TextAnnotation | Mapping[str, Any]]) -> list[TextAnnotation]:
    """Return a list of annotations, each as for `annotation`.

    Raises:
        InvalidType, InvalidValue: it is no list, or one of them does not fit.
    """
    return [annotation(value, f"annotations[{at}]") for at, value in enumerate(_listed("annotations", given))]


def check_within(annotation: TextAnnotation, length: int) -> None:
    """Refuse an annotation that reaches beyond the *length* characters of its text.

    Raises:
        InvalidValue: it does (R119).
    """
    end = getattr(annotation, "end_index", 0)
    if end > length:
        raise InvalidValue("annotation.end_index", f"is {end}, but the text has {length} characters so far (R119)")


def logprobs(values: Sequence[Logprob]) -> list[Logprob]:
    """Return log probabilities in their full form, which every client's types accept: with `bytes` and `top_logprobs`.

    Raises:
        InvalidType: it is no list, or one of them is not a `Logprob`.
        InvalidValue: a member does not fit; a log probability is a finite number (R110).
    """
    return [_full_logprob(f"logprobs[{at}]", value) for at, value in enumerate(_listed("logprobs", values))]


def _full_logprob(argument: str, value: Logprob) -> Logprob:
    taken = struct(argument, value, Logprob)
    tops = taken.top_logprobs or []
    full = [TopLogprob(token=top.token, logprob=top.logprob, bytes=_bytes(top), extra=top.extra) for top in tops]
    return Logprob(
        token=taken.token,
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
        "input_tokens_details.cache_write_tokens": details_in.cache_write_tokens or 0,
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
