"""Bad input is refused at the call, by a typed error that names the argument, and changes nothing.

The tables of `samples` hold a fitting argument for every parameter of every public call. Here each parameter in turn
gets what it should not get. Either the call refuses it, or what comes out is as good as with a fitting argument.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream import Events, ResponseEventStream
from responses_stream.builders.item import ItemBuilder
from responses_stream.builders.part import PartBuilder
from responses_stream.errors import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.base import Event
from responses_stream.sse import encode_event

from . import samples
from .oracle import judge
from .programs import as_dicts, state_of

LONE: Final = "a\ud800"
BAD: Final[dict[str, Any]] = {
    "None": None,
    "a number": 3,
    "a negative number": -1,
    "a boolean": True,
    "not a number": float("nan"),
    "an infinite number": float("-inf"),
    "an empty text": "",
    "a text": "zz",
    "a lone surrogate": LONE,
    "bytes": b"a",
    "an object": object(),
    "an empty list": [],
    "a list of numbers": [3],
    "a list of objects": [object()],
    "a list of lone surrogates": [LONE],
    "a dict": {},
    "a dict of numbers": {"type": 3},
    "a dict of an unknown type": {"type": "acme:x"},
    "a dict with a lone surrogate": {"type": "acme:x", "y": LONE},
    "a dict with a number that is none": {"type": "acme:x", "y": float("nan")},
    "a list of dicts": [{}],
}
"""What somebody may pass by mistake."""

# Calls that make a stream, each with its arguments.
Made = tuple[ResponseEventStream, Callable[..., Any], dict[str, Any]]


def _calls() -> Iterator[tuple[str, Callable[[], Made]]]:
    def on_stream(name: str, arguments: dict[str, Any]) -> Callable[[], Made]:
        def make() -> Made:
            stream = samples.running()
            return stream, getattr(stream, name), {**copy.deepcopy(arguments), "item_id": "item_1"}

        return make

    def on_response(name: str) -> Callable[[], Made]:
        def make() -> Made:
            ready, arguments = samples.RESPONSE_CALLS[name]
            stream = ready()
            return stream, getattr(stream, name), copy.deepcopy(arguments)

        return make

    def on_builder(name: str) -> Callable[[], Made]:
        def make() -> Made:
            ready, arguments = samples.CALLS[name]
            stream = samples.running()
            return stream, getattr(ready(stream), name.partition(".")[2]), copy.deepcopy(arguments)

        return make

    for kind, arguments in samples.FACTORIES.items():
        yield f"add_output_item_{kind}", on_stream(f"add_output_item_{kind}", arguments)
    for kind, arguments in samples.CONVENIENCES.items():
        yield f"output_item_{kind}", on_stream(f"output_item_{kind}", arguments)
    for kind, arguments in samples.OTHER_CONVENIENCES:
        yield (
            f"output_item_{kind} with {'error' if 'error' in arguments else 'text'}",
            on_stream(f"output_item_{kind}", arguments),
        )
    for name in samples.RESPONSE_CALLS:
        yield name, on_response(name)
    for name, (_, arguments) in samples.CALLS.items():
        if arguments:
            yield name, on_builder(name)


CALLS: Final = dict(_calls())


def _public(kind: type, *prefixes: str) -> set[str]:
    return {name for name in dir(kind) if name.startswith(prefixes)}


def _builders() -> Iterable[type]:
    def below(kind: type) -> Iterator[type]:
        one: type
        for one in type.__subclasses__(kind):
            yield one
            yield from below(one)

    return [kind for base in (ItemBuilder, PartBuilder) for kind in below(base) if kind.__module__.startswith("resp")]


def test_every_public_call_of_every_builder_has_a_sample() -> None:
    abstract = {"StringItemBuilder", "ClientCallBuilder", "ContentPartBuilder"}
    found = {
        f"{kind.__name__}.{name}"
        for kind in _builders()
        if kind.__name__ not in abstract
        for name in _public(kind, "emit_", "add_")
    }
    assert found == set(samples.CALLS)


def test_every_public_call_of_the_stream_has_a_sample() -> None:
    other_names = {"reasoning_item", "image_gen_call", "function_shell_call", "function_shell_call_output"}
    found = _public(ResponseEventStream, "emit_", "add_", "output_")
    plain = {"emit_queued", "emit_in_progress", "emit_cancelled"}
    known = {name.partition(" ")[0] for name in CALLS if "." not in name}
    assert found - plain == known | {
        f"{prefix}{name}" for name in other_names for prefix in ("add_output_item_", "output_item_")
    }


def test_every_public_call_has_a_promise_for_mypy() -> None:
    """Nobody runs the files of tests/typing, but mypy reads them."""
    promises = (Path(__file__).parents[1] / "typing" / "builder_calls.py").read_text("utf-8")
    told = [f"builder.{name.partition('.')[2]}(" for name in samples.CALLS]
    told += [f"stream.add_output_item_{kind}(" for kind in samples.FACTORIES]
    told += [f"stream.output_item_{kind}(" for kind in samples.CONVENIENCES]
    assert [call for call in told if call not in promises] == []


@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_has_a_sample(name: str) -> None:
    _, call, arguments = CALLS[name]()
    told = {parameter for parameter in inspect.signature(call).parameters if parameter not in ("args", "kwargs")}
    missing = {"error"} if name in ("output_item_mcp_call", "output_item_mcp_list_tools") else set()
    missing |= {"text"} if name == "output_item_reasoning" else set()
    missing |= {"summary"} if name.startswith("output_item_reasoning with") else set()
    missing |= {"output", "approval_request_id"} if name == "output_item_mcp_call with error" else set()
    assert told - missing <= set(arguments)


@pytest.mark.parametrize("name", CALLS)
def test_the_samples_fit(name: str) -> None:
    _, call, arguments = CALLS[name]()
    _say_on(call(**arguments))


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_fit_is_refused_at_the_call_and_changes_nothing(name: str) -> None:
    _, _, fitting = CALLS[name]()
    for parameter in fitting:
        for what, bad in BAD.items():
            stream, call, arguments = CALLS[name]()
            arguments[parameter] = bad
            before = _state(stream)
            try:
                made = call(**arguments)
            except (InvalidType, InvalidValue) as error:
                refused: InvalidType | InvalidValue = error
            except OutOfOrder:
                # Another text than the deltas made, or a status that does not fit: refused as well.
                assert _state(stream) == before, f"{parameter}={what} changed something"
                continue
            else:
                chunks = isinstance(bad, list) and parameter in _CHUNKED
                _say_on(made, f"{name}({parameter}={what})", chunks)
                continue
            assert _state(stream) == before, f"{parameter}={what} changed something"
            assert parameter.removeprefix("partial_") in str(refused) or refused.argument in arguments, str(refused)
            assert str(refused).startswith(refused.argument)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_caller_does_with_its_arguments_later_changes_nothing(name: str) -> None:
    said = []
    for spoilt in (False, True):
        _, call, arguments = CALLS[name]()
        made = call(**arguments)
        if spoilt:
            _spoil(arguments)
        events = [made] if isinstance(made, Event) else made if isinstance(made, Events) else [made.emit_added()]
        said.append([encode_event(event) for event in events])
    assert said[0] == said[1]  # H3.30


def _spoil(value: Any) -> None:
    for inner in list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _spoil(inner)
    if isinstance(value, dict | list):
        value.clear()


def _state(stream: ResponseEventStream) -> object:
    return state_of(stream._core, set())


_CHUNKED: Final = frozenset({"text", "refusal", "summary", "arguments", "input", "code"})


def _say_on(made: object, what: str = "", chunks: bool = False) -> None:
    """Say what a call made; nothing in it may be wrong. *Chunks* are checked when they come."""
    said: list[Any] = []
    if isinstance(made, Event):
        said = [made]
    elif isinstance(made, Events):
        with nullcontext() if not chunks else suppress(InvalidType, InvalidValue):
            said.extend(made)
    elif isinstance(made, ItemBuilder):
        said = [made.emit_added()]
    elif isinstance(made, PartBuilder):
        assert made.index == -1
    # Whether the stream is right as a whole is for other tests; here, each event on its own.
    for wrong in judge(as_dicts(said)):
        assert wrong.partition(":")[0] not in _OF_ONE_EVENT, f"{what}: {wrong}"


_OF_ONE_EVENT: Final = {
    *("R011", "R012", "R013", "R014", "R015", "R044", "R050", "R051", "R052", "R053", "R057", "R066", "R067", "R068"),
    *("R069", "R070", "R077", "R078", "R080", "R101", "R109", "R110", "R114", "R119", "R148", "R155", "R170"),
}
