"""The builders of parts: deltas are the text, and nothing can be said that they did not say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.parts import AnnotationURLCitation, Logprob, TopLogprob
from responses_stream.sse import encode_event

from . import samples
from .programs import TEXT, state_of
from .samples import running

# The four kinds of text parts: how to make one, and what says its whole text.
PARTS = {
    "text": ("message", "add_text_content", "emit_text_done", "text"),
    "refusal": ("message", "add_refusal_content", "emit_refusal_done", "refusal"),
    "raw reasoning": ("reasoning", "add_text_content", "emit_text_done", "text"),
    "summary": ("reasoning", "add_summary_part", "emit_text_done", "text"),
}
# What streams one string without a part of its own.
STRINGS = {
    "function_call": ((), "emit_arguments_delta", "emit_arguments_done"),
    "custom_tool_call": ((), "emit_input_delta", "emit_input_done"),
    "mcp_call": (("emit_in_progress",), "emit_arguments_delta", "emit_arguments_done"),
    "code_interpreter_call": (("emit_in_progress",), "emit_code_delta", "emit_code_done"),
    "apply_patch_call": ((), "emit_diff_delta", "emit_diff_done"),
}


def _open(kind: str) -> tuple[Any, Any, Any]:
    """Return something that is being said: itself, what says a delta, and what says the whole."""
    if kind == "command":
        command = samples.part("shell_call", "add_command", "emit_added")(running())
        return command, command.emit_delta, command.emit_done
    if kind in PARTS:
        item, make, whole, _ = PARTS[kind]
        part = samples.part(item, make, "emit_added")(running())
        return part, part.emit_delta, getattr(part, whole)
    before, delta, whole = STRINGS[kind]
    item = samples.item(kind, *before)(running())
    return item, getattr(item, delta), getattr(item, whole)


def _whole(event: Any) -> Any:
    said = to_builtins(event)
    names = ("text", "refusal", "arguments", "input", "code", "diff", "command")
    return next(said[name] for name in names if name in said)


each_kind = pytest.mark.parametrize("kind", [*PARTS, *STRINGS, "command"])


@each_kind
@given(chunks=st.lists(TEXT, max_size=5))
def test_the_whole_is_what_the_deltas_said(kind: str, chunks: list[str]) -> None:
    for argument in ((), ("".join(chunks),)):
        _, delta, done = _open(kind)
        for chunk in chunks:
            assert delta(chunk).delta == chunk
        assert _whole(done(*argument)) == "".join(chunks)


@each_kind
def test_another_text_than_the_deltas_is_refused_and_can_be_mended(kind: str) -> None:
    builder, delta, done = _open(kind)
    delta("Hel")
    before = state_of(builder, set())
    with pytest.raises(OutOfOrder) as refused:
        done("Hello")
    assert "the deltas make 'Hel', the argument says 'Hello'" in str(refused.value)  # R102, R128, R141, R157
    assert refused.value.allowed[0].endswith(".delta")
    assert state_of(builder, set()) == before
    delta("lo")
    assert _whole(done("Hello")) == "Hello"


@each_kind
def test_long_texts_are_shown_short(kind: str) -> None:
    _, delta, done = _open(kind)
    delta("a" * 50)
    with pytest.raises(OutOfOrder, match=f"'{'a' * 37}...'"):
        done("b")


@each_kind
def test_nothing_follows_the_whole(kind: str) -> None:
    _, delta, done = _open(kind)
    delta("Hello")
    done()
    for call, rule in ((lambda: delta("x"), "R094"), (done, "R095")):
        with pytest.raises(OutOfOrder, match=rf"{rule}|R127|R140|R157"):
            call()


@each_kind
@pytest.mark.parametrize("bad", [3, None, b"a", ["a"], True, 1.5])
def test_a_delta_is_text(kind: str, bad: Any) -> None:
    builder, delta, done = _open(kind)
    before = state_of(builder, set())
    with pytest.raises(InvalidType, match="delta: expected a string, got") as refused:
        delta(bad)
    assert (refused.value.argument, refused.value.got) == ("delta", type(bad).__name__)
    assert state_of(builder, set()) == before
    if bad is not None:
        with pytest.raises(InvalidType):
            done(bad)


@each_kind
def test_a_lone_surrogate_is_refused_at_the_call(kind: str) -> None:
    builder, delta, _ = _open(kind)
    before = state_of(builder, set())
    with pytest.raises(InvalidValue, match="delta: holds a lone surrogate at character 2, which cannot be sent"):
        delta("ab\ud83d")
    assert state_of(builder, set()) == before
    assert delta("ab😀").delta == "ab😀"


@each_kind
def test_text_of_a_subclass_becomes_plain_text(kind: str) -> None:
    class Text(str):
        """As libraries of agents hand it out."""

        __slots__ = ()

    _, delta, done = _open(kind)
    event = delta(Text("Hé"))
    assert type(event.delta) is str
    assert encode_event(event)
    assert _whole(done(Text("Hé"))) == "Hé"


@pytest.mark.parametrize("kind", PARTS)
def test_parts_are_numbered_when_they_begin(kind: str) -> None:
    item, make, whole, _ = PARTS[kind]
    builder = samples.item(item)(running())
    first, second = getattr(builder, make)(), getattr(builder, make)()
    assert (first.index, second.index) == (-1, -1)
    second.emit_added()
    first.emit_added()
    assert (first.index, second.index) == (1, 0)  # R091, R126
    for part in (first, second):
        getattr(part, whole)()
        part.emit_done()
    assert builder.emit_done().sequence_number == 9


def test_an_item_with_open_parts_cannot_be_done() -> None:
    message = samples.item("message")(running())
    part = message.add_text_content()
    part.emit_added()
    with pytest.raises(OutOfOrder, match=r"with open parts \(its parts come first \(R104, R127\)\)") as refused:
        message.emit_done()
    assert "response.output_text.done of part 0" in refused.value.allowed
    part.emit_text_done()
    with pytest.raises(OutOfOrder) as refused:
        message.emit_done()
    assert "response.content_part.done of part 0" in refused.value.allowed
    part.emit_done()
    message.emit_done()


def test_a_part_that_was_never_begun_is_no_part() -> None:
    stream = running()
    message = samples.item("message")(stream)
    message.add_text_content()
    assert to_builtins(message.emit_done())["item"]["content"] == []


def test_no_part_begins_in_an_item_that_is_not_open() -> None:
    stream = running()
    message = stream.add_output_item_message()
    part = message.add_text_content()
    with pytest.raises(OutOfOrder, match=r"message .* absent \(R082\); allowed now: response\.output_item\.added"):
        part.emit_added()
    with pytest.raises(OutOfOrder, match=r"response\.output_text\.delta in state message"):
        part.emit_delta("x")
    message.emit_added()
    message.emit_done()
    with pytest.raises(OutOfOrder, match=r"closed \(R083\); allowed now: nothing, it is closed"):
        part.emit_added()


def test_a_part_of_a_response_that_has_ended_takes_nothing() -> None:
    stream = running()
    part = samples.part("message", "add_text_content", "emit_added")(stream)
    stream.emit_failed()
    for call in (lambda: part.emit_delta("x"), part.emit_text_done, part.emit_done, part.emit_added):
        with pytest.raises(OutOfOrder, match="it is closed"):
            call()


# Annotations.


def test_annotations_come_before_or_after_the_text_is_done_and_stand_in_every_copy() -> None:
    stream = running()
    message = samples.item("message")(stream)
    part = message.add_text_content()
    part.emit_added()
    part.emit_delta("See ")
    part.emit_delta("A.")
    early = part.emit_annotation_added(samples.CITATION)
    part.emit_text_done()
    late = part.emit_annotation_added({"type": "file_path", "file_id": "f", "index": 0})
    assert (early.annotation_index, late.annotation_index) == (0, 1)  # D09, R116
    expected = [samples.CITATION, {"type": "file_path", "file_id": "f", "index": 0}]
    assert to_builtins(part.emit_done())["part"]["annotations"] == expected  # R118
    assert to_builtins(message.emit_done())["item"]["content"][0]["annotations"] == expected  # D10


@pytest.mark.parametrize(
    "annotation",
    [
        samples.CITATION,
        AnnotationURLCitation(url="u", title="t", start_index=1, end_index=2),
        {"type": "file_citation", "file_id": "f", "filename": "n", "index": 12},
        samples.CITATION
        | {"type": "container_file_citation", "url": "u", "container_id": "c", "file_id": "f", "filename": "n"},
        {"type": "acme:remark", "note": "x"},
    ],
)
def test_annotations_of_every_type_are_taken_typed_or_plain(annotation: Any) -> None:
    event = samples.text(running()).emit_annotation_added(annotation)
    plain = annotation if isinstance(annotation, dict) else to_builtins(annotation)
    assert to_builtins(event)["annotation"] == plain


@pytest.mark.parametrize(
    ("annotation", "where"),
    [
        (samples.CITATION | {"end_index": 3}, "annotation.end_index: is 3, but the text has 2 characters so far"),
        (samples.CITATION | {"start_index": -1}, "annotation.start_index: is negative: -1"),
        (samples.CITATION | {"start_index": 2, "end_index": 1}, "annotation.end_index: is 1 and comes before"),
        ({"type": "file_path", "file_id": "f", "index": -2}, "annotation.index: is negative: -2"),
        ({"type": "url_citation", "url": "u"}, r"annotation: .*\$\.title: is required and missing"),
        (samples.CITATION | {"end_index": "2"}, r"\$\.end_index: expected integer, got string"),
        (samples.CITATION | {"end_index": True}, r"\$\.end_index: expected integer, got boolean"),
        (samples.CITATION | {"title": "\ud800"}, r"annotation\.title: holds a lone surrogate"),
        ({"url": "u"}, r"\$\.type"),
        (3, "annotation: expected annotation or a dict, got int"),
        (None, "annotation: expected annotation or a dict, got NoneType"),
    ],
)
def test_an_annotation_that_cannot_be_right_is_refused(annotation: Any, where: str) -> None:
    part = samples.text(running())
    before = state_of(part, set())
    with pytest.raises((InvalidValue, InvalidType), match=where):
        part.emit_annotation_added(annotation)
    assert state_of(part, set()) == before
    assert part.emit_annotation_added(samples.CITATION).annotation_index == 0


def test_an_annotation_may_reach_what_was_said_after_the_one_before() -> None:
    part = samples.text(running())
    with pytest.raises(InvalidValue, match="R119"):
        part.emit_annotation_added(samples.CITATION | {"end_index": 4})
    part.emit_delta("é!")  # counted in characters, not in bytes
    assert part.emit_annotation_added(samples.CITATION | {"end_index": 4}).annotation_index == 0
    part.emit_text_done()
    with pytest.raises(InvalidValue, match="the text has 4 characters"):
        part.emit_annotation_added(samples.CITATION | {"end_index": 5})


def test_a_convenience_refuses_annotations_outside_its_text_at_the_call() -> None:
    stream = running()
    outside = [samples.CITATION, samples.CITATION | {"end_index": 9}]
    with pytest.raises(InvalidValue, match="R119"):
        stream.output_item_message("Hello", annotations=outside)
    wrong: Any = samples.CITATION
    with pytest.raises(InvalidType, match="annotations: expected a list"):
        stream.output_item_message("Hello", annotations=wrong)
    assert stream.emit_completed().sequence_number == 2


# Log probabilities.


def test_log_probabilities_are_written_in_full_and_gathered() -> None:
    stream = running()
    message = samples.item("message")(stream)
    part = message.add_text_content()
    part.emit_added()
    first = part.emit_delta("Hé", logprobs=[Logprob(token="Hé", logprob=-0.5)])
    full = {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169], "top_logprobs": []}
    assert to_builtins(first)["logprobs"] == [full]
    tops = [TopLogprob(token="!", logprob=-1), TopLogprob(token="?", logprob=-2, bytes=[63])]
    second = part.emit_delta("!", logprobs=[Logprob(token="!", logprob=-1, bytes=[33], top_logprobs=tops)])
    top = [{"token": "!", "logprob": -1, "bytes": [33]}, {"token": "?", "logprob": -2, "bytes": [63]}]
    both = [full, {"token": "!", "logprob": -1, "bytes": [33], "top_logprobs": top}]
    assert to_builtins(second)["logprobs"] == both[1:]
    assert to_builtins(part.emit_text_done())["logprobs"] == both
    assert to_builtins(part.emit_done())["part"]["logprobs"] == both
    assert to_builtins(message.emit_done())["item"]["content"][0]["logprobs"] == both


def test_without_log_probabilities_there_is_an_empty_list() -> None:
    part = samples.text(running())
    assert to_builtins(part.emit_delta("!"))["logprobs"] == []  # R109
    assert to_builtins(part.emit_text_done())["logprobs"] == []


@pytest.mark.parametrize(
    ("logprobs", "where"),
    [
        (3, "logprobs: expected a list, got int"),
        ([3], r"logprobs\[0\]: expected Logprob or a dict, got int"),
        ([{"token": 1, "logprob": 0}], r"logprobs\[0\]: .*\$\.token: expected string"),
        ([Logprob(token="a", logprob=float("nan"))], r"logprobs\[0\]\.logprob: is nan"),
        ([Logprob(token="a", logprob=float("-inf"))], r"logprobs\[0\]\.logprob: is -inf"),
        ([Logprob(token="\ud800", logprob=0)], r"logprobs\[0\]\.token: holds a lone surrogate"),
        ([{"token": "a"}], r"\$\.logprob: is required and missing"),
    ],
)
def test_log_probabilities_that_cannot_be_sent_are_refused(logprobs: Any, where: str) -> None:
    part = samples.text(running())
    before = state_of(part, set())
    with pytest.raises((InvalidValue, InvalidType), match=where):
        part.emit_delta("x", logprobs=logprobs)  # R110
    assert state_of(part, set()) == before
