"""What others say is read as ours: dicts, objects of the `openai` package, attrs classes, dataclasses and structs."""

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypedDict, cast

import attrs
import msgspec
import openresponses_types.types as open_responses
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.responses import ResponseOutputItem
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import DecodeError, InvalidType, InvalidValue, ResponseObject, accumulate
from responses_stream.hosting.foreign import event_of, item_of
from responses_stream.protocol.base import Event, UnknownEvent, UnknownItem, Wire
from responses_stream.protocol.codec import decode_as, decode_event, decode_union, encode, to_builtins
from responses_stream.protocol.events import (
    ResponseOutputItemAddedEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from responses_stream.protocol.items import (
    CompactionTrigger,
    InputMessage,
    OutputItem,
    ResponseCompactionItem,
    ResponseOutputMessage,
)
from responses_stream.protocol.plans import tags_of

from ..builders.programs import Program, programs
from ..builders.test_foreign_types import ITEMS, NOT_IN_OPENAI, Say, finished
from ..protocol.openai_types import OUTPUT_ITEMS, STREAM_EVENTS, by_type
from ..protocol.samples import full, variants
from ..protocol.strategies import wire_json

PROPERTY: Final = settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
RECORDINGS: Final = sorted((Path(__file__).resolve().parents[3] / "shared" / "recordings").glob("*.jsonl"))
OPENAI_EVENTS: Final = {kind: pydantic.TypeAdapter(model) for kind, model in by_type(STREAM_EVENTS)}
OPENAI_ITEMS: Final = {kind: pydantic.TypeAdapter(model) for kind, model in by_type(OUTPUT_ITEMS)}
EVENTS: Final = tags_of(ResponseStreamEvent)

DELTA: Final[dict[str, Any]] = {
    "type": "response.output_text.delta",
    "sequence_number": 4,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hel",
    "logprobs": [],
}
OURS: Final = decode_event(DELTA)
COMPACTION: Final[dict[str, Any]] = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}
MESSAGE: Final[dict[str, Any]] = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "user",
    "content": [],
}


def read_by_openai(data: object, union: Any = OpenAIEvent) -> Any:
    """Return an object as the client of the package makes it of what it reads: without a check."""
    made = construct_type(value=data, type_=union)
    assert isinstance(made, pydantic.BaseModel)
    return made


class Delta(TypedDict):
    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object]


@attrs.frozen
class AttrsDelta:
    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object]


@dataclasses.dataclass
class DataclassDelta:
    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object]


class StructDelta(msgspec.Struct):
    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object] | msgspec.UnsetType = msgspec.UNSET


class PydanticDelta(pydantic.BaseModel):
    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[object]


class Anything(pydantic.BaseModel, extra="allow"):
    """Holds what it is given."""


FORMS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "a dict": dict,
    "a TypedDict": lambda data: Delta(**cast("Delta", data)),
    "an OrderedDict": OrderedDict,
    "a read-only mapping": MappingProxyType,
    "a mapping of another class": UserDict,
    "an object of the openai package": read_by_openai,
    "a checked object of the openai package": lambda data: OPENAI_EVENTS[data["type"]].validate_python(data),
    "another pydantic model": lambda data: PydanticDelta(**data),
    "an attrs class": lambda data: AttrsDelta(**data),
    "a dataclass": lambda data: DataclassDelta(**data),
    "a struct": lambda data: StructDelta(**data),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_event_is_the_same_in_whatever_form_it_comes(form: str) -> None:
    found = event_of(FORMS[form](DELTA))
    assert found == OURS
    assert encode(found) == encode(OURS)


def test_our_own_events_are_not_touched() -> None:
    unknown = UnknownEvent(type="acme:trace", extra={"step": object()})
    for event in (OURS, unknown):
        assert event_of(event) is event


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_without_a_number_may_be_said(name: str) -> None:
    event = cast("ResponseStreamEvent", full(EVENTS[name]))
    data = {member: value for member, value in to_builtins(event).items() if member != "sequence_number"}
    found = event_of(data)
    assert isinstance(found, Event)
    assert {**to_builtins(found), "sequence_number": 0} == {**data, "sequence_number": 0}


def test_what_was_not_set_is_absent_and_what_is_not_known_is_kept() -> None:
    data = {
        "type": "response.created",
        "sequence_number": 0,
        "response": {"id": "resp_1", "status": "in_progress", "output": [], "error": None, "acme": {"region": "eu"}},
        "trace": ["a", {"b": 1}],
    }
    found = event_of(read_by_openai(data))
    assert to_builtins(cast("Wire", found)) == data
    assert json.loads(encode(cast("Wire", found))) == data


def test_an_event_of_an_unknown_type_is_kept() -> None:
    # decision 7
    data = {"type": "acme:trace", "span": {"id": 1}}
    assert event_of(data) == UnknownEvent(type="acme:trace", extra={"span": {"id": 1}})


class Kind(enum.Enum):
    ADDED = "response.output_item.added"


class Role(enum.StrEnum):
    USER = "user"


@attrs.frozen
class ForeignItem:
    type: str
    id: str


@attrs.frozen
class ForeignMessage(ForeignItem):
    status: str
    content: tuple[object, ...]
    role: Role = Role.USER


@dataclasses.dataclass
class ForeignAdded:
    """Its annotation names the base of what it holds, and one that cannot be resolved."""

    item: ForeignItem
    output_index: int
    nothing: NotThere | None = None  # type: ignore[name-defined]  # noqa: F821  # what the test is about
    type: Kind = Kind.ADDED


class HoldsAnything(msgspec.Struct):
    item: object
    output_index: int
    type: str = "response.output_item.added"


TEXT: Final = {"type": "input_text", "text": "Hi"}


@pytest.mark.parametrize("holder", [dict, ForeignAdded, HoldsAnything], ids=["dict", "dataclass", "struct"])
@pytest.mark.parametrize(
    "item",
    [
        {**MESSAGE, "content": (TEXT,)},
        MappingProxyType({**MESSAGE, "content": [MappingProxyType(TEXT)]}),
        ForeignMessage("message", "msg_1", "completed", (TEXT,)),
        read_by_openai({**MESSAGE, "content": [TEXT]}, ResponseOutputItem),
        decode_as({**MESSAGE, "content": [TEXT]}, ResponseOutputMessage),
    ],
    ids=["dict", "mapping", "attrs", "openai", "ours"],
)
def test_forms_may_be_mixed_and_are_read_by_what_they_are(holder: Callable[..., object], item: object) -> None:
    more: dict[str, object] = {"type": "response.output_item.added"} if holder is dict else {}
    found = event_of(holder(item=item, output_index=0, **more))
    assert isinstance(found, ResponseOutputItemAddedEvent)
    assert found.item == decode_as({**MESSAGE, "content": [TEXT]}, ResponseOutputMessage)


@pytest.mark.parametrize(
    "said",
    [None, 7, "text", b"text", ["a"], object(), dict, Kind.ADDED, ResponseObject(id="resp_1"), PydanticDelta],
    ids=lambda said: type(said).__name__,
)
def test_anything_else_is_refused_with_what_it_was_and_what_is_taken(said: object) -> None:
    with pytest.raises(
        InvalidType, match="expected an event of ours, a dict, an object of the openai package"
    ) as error:
        event_of(said)
    assert error.value.got == type(said).__name__
    with pytest.raises(InvalidType, match="expected an item of ours, a dict"):
        item_of(said)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, "$.type"),
        ({"type": ""}, "$.type"),
        ({"type": 3}, "$.type"),
        ({"type": "response.output_text.delta", "delta": "Hi"}, "$.item_id"),
        ({**DELTA, "delta": 3}, "$.delta"),
        ({"type": "response.created", "response": {"status": "in_progress"}}, "$.response.id"),
        (MESSAGE, "$.type"),
        (COMPACTION, "$.type"),
    ],
)
def test_plain_data_that_is_no_event_is_refused_with_the_place(data: dict[str, Any], path: str) -> None:
    for said in (data, Anything(**data)):
        with pytest.raises(DecodeError) as error:
            event_of(said)
        assert path in {problem.path for problem in error.value.problems}


def test_an_item_is_not_taken_for_an_event() -> None:
    with pytest.raises(InvalidType, match="got ResponseOutputMessage"):
        event_of(decode_as(MESSAGE, ResponseOutputMessage))
    with pytest.raises(DecodeError, match=r"'message' is an item; it is said inside 'response\.output_item\.added'"):
        event_of(MESSAGE)


@pytest.mark.parametrize(
    ("value", "error", "path"),
    [
        (object(), InvalidType, r"event\.extra\[0\]"),
        (datetime(2026, 1, 1, tzinfo=UTC), InvalidType, r"event\.extra\[0\]"),
        ({1: 2}, InvalidType, r"event\.extra\[0\]"),
        ({1, 2}, InvalidType, r"event\.extra\[0\]"),
        (float("nan"), InvalidValue, r"event\.extra\[0\]"),
        ("\ud800", InvalidValue, r"event\.extra\[0\]"),
    ],
)
def test_what_json_cannot_say_is_refused_with_the_place(value: object, error: type[Exception], path: str) -> None:
    with pytest.raises(error, match=path):
        event_of({**DELTA, "extra": [value]})


class Omits(msgspec.Struct, omit_defaults=True, rename={"kept": "async"}, tag="acme:trace", tag_field="type"):
    held: object
    kept: bool = False
    left: str | None = None
    absent: int | msgspec.UnsetType = msgspec.UNSET


def test_a_struct_says_what_msgspec_would_write_of_it() -> None:
    struct = Omits(held=[1], kept=True)
    assert to_builtins(cast("Wire", event_of(struct))) == msgspec.to_builtins(struct)
    assert msgspec.to_builtins(struct) == {"type": "acme:trace", "held": [1], "async": True}


@pytest.mark.parametrize("holder", [lambda held: {"type": "acme:trace", "held": held}, Omits], ids=["dict", "struct"])
def test_what_stands_in_ours_and_is_no_json_is_refused_with_the_place(holder: Callable[[object], object]) -> None:
    good = ResponseCompactionItem(encrypted_content="gAAA", extra={"acme": {"a": 1}})
    found = event_of(holder(good))
    assert to_builtins(cast("Wire", found))["held"] == to_builtins(good)
    with pytest.raises(InvalidType, match=r"event\.held"):
        event_of(holder(msgspec.structs.replace(good, extra={"acme": object()})))
    with pytest.raises(InvalidType, match=r"event\.held\[0\]"):
        event_of(holder([object()]))


def test_what_holds_itself_is_refused() -> None:
    data: dict[str, Any] = dict(DELTA)
    data["self"] = data
    with pytest.raises(InvalidValue, match="nested too deeply"):
        event_of(data)


def test_what_the_caller_changes_later_does_not_change_the_event() -> None:
    data = {**DELTA, "extra": {"a": [1]}}
    found = event_of(data)
    before = encode(cast("Wire", found))
    data["extra"]["a"].append(2)
    assert encode(cast("Wire", found)) == before


@pytest.mark.parametrize("say", ITEMS.values(), ids=ITEMS)
def test_all_that_builders_say_comes_back_from_the_openai_package(say: Say) -> None:
    for event in finished(say):
        data = to_builtins(event)
        assert event_of(data) == event
        assert event_of(read_by_openai(data)) == event
        if event.type not in NOT_IN_OPENAI:
            assert event_of(OPENAI_EVENTS[event.type].validate_python(data)) == event


@pytest.mark.parametrize("name", sorted(set(EVENTS) & set(OPENAI_EVENTS)))
def test_every_event_with_every_member_comes_back_from_the_openai_package(name: str) -> None:
    for event in variants(EVENTS[name]):
        assert event_of(read_by_openai(to_builtins(event))) == event


@pytest.mark.parametrize("name", sorted(set(tags_of(OutputItem)) & set(OPENAI_ITEMS)))
def test_every_item_with_every_member_comes_back_from_the_openai_package(name: str) -> None:
    for item in variants(tags_of(OutputItem)[name]):
        data = to_builtins(item)
        assert item_of(data) == item_of(read_by_openai(data, ResponseOutputItem)) == item


@pytest.mark.skipif(not RECORDINGS, reason="recordings are data of others, and no part of this repository")
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recordings_come_back_from_the_openai_package(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        data = json.loads(line)
        event = decode_event(data, number=0)
        found = event_of(read_by_openai(data))
        assert found == event_of(data) == event
        assert to_builtins(found) == to_builtins(event)


@PROPERTY
@given(programs())
def test_a_program_that_is_said_in_dicts_comes_to_the_same(program: Program) -> None:
    said = [event_of(to_builtins(event)) for event in program.events]
    assert said == program.events
    if program.events and program.events[-1].type in ("response.completed", "response.incomplete"):
        assert accumulate(said) == accumulate(program.events)


@PROPERTY
@given(st.sampled_from(sorted(EVENTS)).flatmap(lambda name: wire_json(EVENTS[name], loose=True)))
def test_any_event_is_read_as_the_codec_reads_it(data: dict[str, Any]) -> None:
    # decision 20: what does not fit is kept
    assert event_of(data) == event_of(MappingProxyType(data)) == decode_event(data, number=0)


class TestItems:
    """W21, W23: what a compaction handler may return."""

    def test_ours_are_not_touched(self) -> None:
        for item in (ResponseCompactionItem(encrypted_content="gAAA"), UnknownItem(type="acme:search")):
            assert item_of(item) is item

    @pytest.mark.parametrize("form", [dict, lambda data: read_by_openai(data, ResponseOutputItem)])
    def test_others_are_read(self, form: Callable[[dict[str, Any]], object]) -> None:
        assert item_of(form(COMPACTION)) == ResponseCompactionItem(id="cmp_1", encrypted_content="gAAA")

    def test_a_message_of_an_input_is_one_of_an_output(self) -> None:
        found = item_of(InputMessage(role="user", id="msg_1", status="completed", content=[]))
        assert found == decode_as(MESSAGE, ResponseOutputMessage)

    def test_an_unknown_item_is_kept(self) -> None:
        assert item_of({"type": "acme:search", "q": 1}) == decode_union({"type": "acme:search", "q": 1}, OutputItem, "")

    @pytest.mark.parametrize("kind", ["compaction_trigger", "configuration_update", "item_reference", "", None, 3])
    def test_what_is_no_output_item_is_refused_with_the_place(self, kind: object) -> None:
        # R080
        with pytest.raises(DecodeError) as error:
            item_of({"type": kind, "id": "x"})
        assert [problem.path for problem in error.value.problems] == ["$.type"]

    @pytest.mark.parametrize("said", [CompactionTrigger(), OURS], ids=["trigger", "event"])
    def test_nor_are_our_own_things_that_are_none(self, said: Wire) -> None:
        with pytest.raises(InvalidType, match="expected an item of ours"):
            item_of(said)


def test_objects_of_open_responses_are_read_too() -> None:
    model = open_responses.ResponseOutputTextDeltaStreamingEvent
    assert event_of(model.model_validate(DELTA)) == OURS


def test_reading_loads_cattrs_when_it_is_needed_and_neither_openai_nor_pydantic_ever() -> None:
    code = (
        "import sys\n"
        "from responses_stream.hosting.foreign import event_of\n"
        "from responses_stream.protocol.events import ResponseTextDeltaEvent as Delta\n"
        "ours = Delta(sequence_number=0, item_id='m', output_index=0, content_index=0, delta='x')\n"
        "assert event_of(ours) is ours\n"
        "assert 'cattrs' not in sys.modules\n"
        "event_of({'type': 'acme:trace'})\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "cattrs" in loaded
    assert not loaded & {"openai", "pydantic"}
    assert ResponseTextDeltaEvent is type(OURS)
