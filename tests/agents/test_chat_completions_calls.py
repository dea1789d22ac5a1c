"""The tool calls of Chat Completions streams: whatever a server makes of indexes, ids and names, each is told once."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream.agents.chat_completions import chat_contents
from responses_stream.agents.contents import FunctionCall

from .chunks import answer, calls, chunk, fragment, items, stop, text

A: Final = ["function_call", "f", '{"a":1}']
B: Final = ["function_call", "g", '{"b":"}{"}']
SAME: Final = ["function_call", "f", '{"b":2}']


def told(*chunks: Any) -> list[Any]:
    """Return the calls that *chunks* make, and whatever else they say."""
    response = answer(*chunks, stop("tool_calls"))
    assert response.status == "completed", response.error
    ids = [item.call_id for item in response.output if item.type == "function_call"]
    assert len(set(ids)) == len(ids)
    return items(response)


def ids_of(*chunks: Any) -> list[str]:
    return [item.call_id for item in answer(*chunks, stop()).output if item.type == "function_call"]


# As it should be.

FIRST: Final = fragment("", index=0, id="call_a", name="f", type="function")
SECOND: Final = fragment("", index=1, id="call_b", name="g", type="function")


def test_fragments_are_put_together_by_their_index() -> None:
    chunks = [
        calls(FIRST),
        calls(fragment('{"a"', index=0)),
        calls(SECOND),
        calls(fragment('{"b":"}', index=1), fragment(":1", index=0)),
        calls(fragment("}", index=0), fragment('{"}', index=1)),
    ]
    assert told(*chunks) == [A, B]
    assert ids_of(*chunks) == ["call_a", "call_b"]


def test_a_call_without_arguments_has_none() -> None:
    empty = fragment("", index=0, id="call_a", name="f")
    assert told(calls(empty)) == [["function_call", "f", "{}"]]
    assert told(calls(empty), calls(fragment('{"b":"}{"}', index=1, id="call_b", name="g")))[1] == B
    assert told(calls(fragment(index=0, id="call_a", name="f")))[0] == ["function_call", "f", "{}"]


def test_a_legacy_function_call_is_one() -> None:
    chunks = [{"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ":1}"}]
    assert told(*(chunk({"function_call": one}) for one in chunks)) == [A]
    both = {
        "function_call": {"name": "f", "arguments": '{"a":1}'},
        "tool_calls": [fragment('{"a":1}', index=0, name="f")],
    }
    assert told(chunk(both)) == [A]


# Indexes.


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}, {"index": "x"}], ids=str)
def test_whole_calls_may_have_one_index_or_none(index: dict[str, Any]) -> None:
    """ollama#15457, ollama#7881, dynamo#4723, dayu-agent#57"""
    first = fragment('{"a":1}', id="call_a", name="f", **index)
    second = fragment('{"b":"}{"}', id="call_b", name="g", **index)
    third = fragment('{"b":2}', id="call_c", name="f", **index)
    for chunks in ([calls(first), calls(second), calls(third)], [calls(first, second, third)]):
        assert told(*chunks) == [A, B, SAME]
        assert ids_of(*chunks) == ["call_a", "call_b", "call_c"]


@pytest.mark.parametrize("index", [{}, {"index": 0}], ids=str)
def test_streamed_calls_may_have_one_index_or_none(index: dict[str, Any]) -> None:
    """agentao#117, LibreChat-AI/agents#260"""
    chunks = [
        calls(fragment("", id="call_a", name="f", **index)),
        calls(fragment('{"a"', **index)),
        calls(fragment(":1}", **index)),
        calls(fragment("", id="call_b", name="f", **index)),
        calls(fragment('{"b":2', **index)),
        calls(fragment("}", **index)),
    ]
    assert told(*chunks) == [A, SAME]
    assert ids_of(*chunks) == ["call_a", "call_b"]


def test_an_index_may_move_on_in_the_middle_of_a_call() -> None:
    """dirac#215"""
    assert told(calls(fragment('{"a"', index=0, id="call_a", name="f")), calls(fragment(":1}", index=1))) == [A]
    named = [
        calls(fragment('{"a"', index=0, id="call_a", name="f")),
        calls(fragment(":1}", index=1, id="call_a", name="f")),
    ]
    assert told(*named) == [A]
    assert told(named[0], calls(fragment(":1}", index=1, id="call_a"))) == [A]


def test_calls_without_any_id_or_index_are_told_apart_by_their_names() -> None:
    assert told(calls(fragment('{"a":1}', name="f"), fragment('{"b":"}{"}', name="g"))) == [A, B]
    assert told(calls(fragment('{"a":1}', name="f")), calls(fragment('{"b":2}', name="f"))) == [A, SAME]
    assert told(calls(fragment('{"a"', name="f")), calls(fragment(":1}", name="f"))) == [A]


# Ids.


@pytest.mark.parametrize("call_id", [{}, {"id": None}, {"id": ""}], ids=str)
def test_an_id_is_made_where_there_is_none(call_id: dict[str, Any]) -> None:
    chunks = [
        calls(fragment('{"a"', index=0, name="f", **call_id)),
        calls(fragment('{"b":"}{"}', index=1, name="g", **call_id)),
        calls(fragment(":1}", index=0, **call_id)),
    ]
    assert told(*chunks) == [A, B]
    assert all(one.startswith("call_") for one in ids_of(*chunks))


def test_an_id_may_come_late_change_and_be_a_number() -> None:
    late = [calls(fragment('{"a"', index=0, name="f")), calls(fragment(":1}", index=0, id="call_a"))]
    assert told(*late) == [A]
    drifting = [
        calls(fragment("", index=0, id="call_1", name="f")),
        calls(fragment('{"a"', index=0, id="call_2", name="f")),
        calls(fragment(":1}", index=0, id="call_3", name="f")),
        calls(fragment("", index=0, id="call_4", name="f")),
    ]
    assert told(*drifting) == [A]
    assert ids_of(*drifting) == ["call_1"]
    assert ids_of(calls(fragment('{"a":1}', index=0, id=7, name="f"))) == ["7"]


def test_two_calls_without_arguments_at_one_index_are_told_apart_by_their_ids() -> None:
    chunks = [calls(fragment("", index=0, id=one, name="f")) for one in ("call_a", "call_b")]
    assert told(*chunks) == [["function_call", "f", "{}"]] * 2
    assert ids_of(*chunks) == ["call_a", "call_b"]


def test_two_calls_with_one_id_are_two() -> None:
    chunks = [
        calls(fragment("", index=0, id="call", name="f")),
        calls(fragment("", index=1, id="call", name="g")),
        calls(fragment('{"b":"}{"}', index=1, id="call")),
        calls(fragment('{"a":1}', index=0, id="call")),
    ]
    assert told(*chunks) == [A, B]


# Names.


def test_a_name_may_be_repeated_and_come_in_pieces() -> None:
    """open-webui#22235, continue#5849, SillyTavern#5811"""
    repeated = [calls(fragment(piece, index=0, id="call_a", name="f")) for piece in ("", '{"a"', ":1}", "")]
    assert told(*repeated) == [A]
    pieces = [calls(fragment("", index=0, id="c", name="edit_ex")), calls(fragment("", index=0, name="isting_file"))]
    growing = [
        calls(fragment("", index=0, id="c", name="edit_ex")),
        calls(fragment("", index=0, name="edit_existing_file")),
    ]
    for chunks in (pieces, growing):
        assert told(*chunks, calls(fragment("{}", index=0))) == [["function_call", "edit_existing_file", "{}"]]


def test_a_name_may_come_late_or_be_emptied() -> None:
    """sub2api#5632"""
    late = [
        calls(fragment('{"a"', index=0, id="call_a")),
        calls(fragment("", index=0, name="f")),
        calls(fragment(":1}", index=0)),
    ]
    assert told(*late) == [A]
    emptied = [calls(fragment('{"a"', index=0, id="call_a", name="f")), calls(fragment(":1}", index=0, name=""))]
    assert told(*emptied) == [A]
    assert told(calls({"index": 0, "id": "call_a", "name": "f", "arguments": '{"a":1}'})) == [A]


def test_a_call_without_a_name_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    response = answer(text("Hi"), calls(fragment('{"a":1}', index=0, id="call_a")), stop("tool_calls"))
    assert (response.status, items(response)) == ("failed", [["message", "Hi"]])
    assert "never told its name" in caplog.text


# Arguments.


def test_arguments_may_be_an_object() -> None:
    assert told(calls(fragment({"a": 1}, index=0, id="call_a", name="f"))) == [A]
    assert told(calls(fragment([], index=0, id="call_a", name="f"))) == [["function_call", "f", "[]"]]


def test_arguments_that_come_again_are_told_once() -> None:
    """open-webui#22235"""
    pieces = [fragment('{"a"', index=0, id="call_a", name="f"), fragment(":1}", index=0)]
    for again in (['{"a":1}'], ['{"a"', ":1}"], [' {"a":1}\n', ""]):
        rest = [fragment(piece, index=0, name="f") for piece in again]
        assert told(*map(calls, [*pieces, *rest])) == [A]


def test_several_objects_at_one_place_are_several_calls() -> None:
    """open-webui#22235"""
    assert told(calls(fragment('{"a":1}{"b":2}', index=0, id="call_a", name="f"))) == [A, SAME]
    split = [fragment('{"a":1}', index=0, id="call_a", name="f"), fragment('{"b"', index=0), fragment(":2}", index=0)]
    assert told(*map(calls, split)) == [A, SAME]
    assert told(calls(fragment('{"a":1}{"a":1}{"b":2}', index=0, id="call_a", name="f"))) == [A, SAME]


NAMED: Final[dict[str, Any]] = {"index": 0, "id": "call_a", "name": "f"}


@pytest.mark.parametrize("empty", ["{}", " { }\n", {}], ids=repr)
@pytest.mark.parametrize("again", [{}, {"id": "call_a"}, {"id": "call_a", "name": "f"}], ids=str)
def test_an_empty_object_before_the_arguments_is_none(empty: Any, again: dict[str, Any]) -> None:
    """unsloth#10275, ogx#5462"""
    for pieces in (['{"a":1}'], ['{"a"', ":1}"], ["", '{"a":1}'], ["{}", '{"a":1}'], [{"a": 1}]):
        chunks = [fragment(empty, **NAMED), *(fragment(piece, index=0, **again) for piece in pieces)]
        assert told(*map(calls, chunks)) == [A]
        assert ids_of(*map(calls, chunks)) == ["call_a"]
    assert told(calls(fragment('{}{"a":1}', **NAMED))) == [A]


def test_a_call_of_an_empty_object_is_one_where_nothing_more_comes() -> None:
    empty = ["function_call", "f", "{}"]
    assert told(calls(fragment("{}", **NAMED))) == [empty]
    assert told(calls(fragment("{}", **NAMED)), calls(fragment("", index=0)), stop()) == [empty]
    assert told(calls(fragment("{}", **NAMED)), text("Hi")) == [empty, ["message", "Hi"]]
    other = fragment('{"a":1}', index=0, id="call_b", name="f")
    assert told(calls(fragment("{}", **NAMED)), calls(other)) == [empty, A]
    assert told(calls(fragment("{}", name="f"), fragment("{}", name="f"))) == [empty, empty]
    assert told(calls(fragment('{"a":1}{}', **NAMED))) == [A, empty]
    unnamed = [calls(fragment("{}", index=0, id="call_a")), text("Hi"), calls(fragment("", index=0, name="f"))]
    assert told(*unnamed) == [["message", "Hi"], empty]


def test_an_empty_object_waits_only_for_what_comes_next() -> None:
    said = chat_contents([calls(fragment("{}", **NAMED)), text("Hi"), text("!"), stop()])
    assert [type(one).__name__ for one in itertools.islice(said, 3)] == ["Update", "FunctionCall", "Text"]


def test_an_object_may_come_in_pieces_and_again() -> None:
    """oh-my-pi#2082, oh-my-pi#2617"""
    pieces: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"q": "a"}, {"q": "ab"}),
        ({"q": "a"}, {"q": "b"}),
        ({"q": "ab", "n": [1]}, {"n": [1, 2]}),
        ({"n": [1]}, {"q": "ab", "n": [2]}),
        ({"in": {"x": "a", "y": None}}, {"in": {"x": "ab", "y": 1}}),
    ]
    whole = [{"q": "ab"}, {"q": "ab"}, {"q": "ab", "n": [1, 2]}, {"q": "ab", "n": [1, 2]}, {"in": {"x": "ab", "y": 1}}]
    for (first, second), both in zip(pieces, whole, strict=True):
        response = answer(calls(fragment(first, **NAMED)), calls(fragment(second, index=0, id="call_a")), stop())
        assert [json.loads(item.arguments) for item in response.output] == [both]
    mixed = [fragment({"a": 1}, **NAMED), fragment('{"b":2}', index=0)]
    assert told(*map(calls, mixed)) == [A, SAME]


def test_an_id_that_is_said_again_is_no_other_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pieces = [fragment('{"a":1}', **NAMED), fragment('{"b"', **NAMED), fragment(":2}", index=0)]
    assert told(*map(calls, pieces)) == [A]
    assert "was dropped" in caplog.text


def test_what_follows_whole_arguments_and_is_none_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert told(calls(fragment('{"a":1}}', index=0, id="call_a", name="f")), calls(fragment("}", index=0))) == [A]
    assert told(calls(fragment('{"a":1}', index=0, id="call_a", name="f")), calls(fragment("}"))) == [A]
    assert caplog.text.count("was dropped") == 3


def test_arguments_that_are_no_object_are_told_as_they_are() -> None:
    for arguments in ("null", '"x"', "f(1)", '{"a": ', "}"):
        assert told(
            calls(fragment(arguments[:1], index=0, id="c", name="f")), calls(fragment(arguments[1:], index=0))
        ) == [["function_call", "f", arguments]]


def test_the_rest_of_a_call_may_come_behind_text_and_reasoning() -> None:
    """A11: vllm#52418"""
    chunks = [
        calls(fragment('{"a"', index=0, id="call_a", name="f")),
        text("Hel"),
        calls(fragment(":1}", index=0)),
        text("lo"),
        chunk({"reasoning": "Hm"}),
    ]
    assert told(*chunks) == [A, ["message", "Hello"], ["reasoning", "Hm"]]
    said = list(chat_contents([*chunks, stop()]))
    assert [type(one).__name__ for one in said[1:]] == ["FunctionCall", "FunctionCall", "Text", "Text", "Reasoning"]


def test_arguments_are_told_as_they_come() -> None:
    pieces = [
        calls(fragment("", index=0, id="call_a", name="f")),
        calls(fragment('{"a"', index=0)),
        calls(fragment(":1}", index=0)),
    ]
    assert list(chat_contents([*pieces, stop()]))[1:] == [
        FunctionCall("call_a", "f", '{"a"'),
        FunctionCall("call_a", "f", ":1}"),
    ]


def test_a_streamed_custom_tool_is_called() -> None:
    pieces = [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "sql", "input": "SELECT "}}]
    pieces.append({"index": 0, "custom": {"input": "{1}{2}"}})
    assert items(answer(*map(calls, pieces), stop())) == [["custom_tool_call", "sql", "SELECT {1}{2}"]]


# All chunkings of one answer.

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('ab{}"\\', max_size=2), inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS: Final = st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1, max_size=2)
TEXTS: Final = st.text(st.characters(codec="utf-8"), max_size=6)


def cut(draw: Any, told: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(told)), max_size=3)))
    return [told[start:end] for start, end in itertools.pairwise([0, *cuts, len(told)])]


@st.composite
def chunkings(draw: Any) -> tuple[list[Any], list[Any]]:
    """Return what a model says, and the chunks in which a server sends it, with the habits that it may have."""
    thought, said, later = draw(TEXTS), draw(TEXTS), draw(TEXTS)
    arguments = [json.dumps(one, ensure_ascii=False) for one in draw(st.lists(ARGUMENTS, max_size=3))]
    names = [draw(st.sampled_from(["f", "g"])) for _ in arguments]
    name = draw(st.sampled_from(["reasoning_content", "reasoning"]))
    chunks = [chunk({name: piece}) for piece in cut(draw, thought)]
    chunks += [text(piece) for piece in cut(draw, said)]
    habits = {habit: draw(st.booleans()) for habit in ("repeats name", "repeats id", "says null")}
    in_turns = draw(st.booleans())
    # Where another call has begun since, an empty object is all that a call says.
    before = ["{}"] * (draw(st.booleans()) and not in_turns)
    waiting = [_fragments(at, names[at], before + cut(draw, one), habits) for at, one in enumerate(arguments)]
    while any(waiting):
        ready = [one for one in waiting if one]
        fragments = draw(st.sampled_from(ready)) if in_turns else ready[0]
        sent = [fragments.pop(0)]
        chunks.append(calls(*sent))
    chunks += [text(piece) for piece in cut(draw, later)]
    texts = [*([["reasoning", thought]] if thought else [])]
    if arguments:
        texts += [["message", said]] if said else []
        order = {json.dumps(one): None for one in _order(chunks)}
        texts += [["function_call", names[json.loads(at)], arguments[json.loads(at)]] for at in order]
        texts += [["message", later]] if later else []
    elif said or later:
        texts.append(["message", said + later])
    return texts, [*chunks, stop()]


def _fragments(at: int, name: str, pieces: list[str], habits: dict[str, bool]) -> list[dict[str, Any]]:
    fragments = [fragment(pieces[0], index=at, id=f"call_{at}", name=name)]
    for piece in pieces[1:]:
        more: dict[str, Any] = {"id": f"call_{at}"} if habits["repeats id"] else {}
        more |= {"id": None} if habits["says null"] and not more else {}
        fragments.append(fragment(piece, index=at, name=name if habits["repeats name"] else None, **more))
    return fragments


def _order(chunks: list[Any]) -> list[int]:
    """Return the indexes of the calls in the order in which they begin."""
    deltas = [one["choices"][0]["delta"] for one in chunks]
    return [call["index"] for delta in deltas for call in delta.get("tool_calls", ())]


@settings(deadline=None, max_examples=40)
@given(chunkings())
def test_an_answer_is_the_same_however_it_is_chunked(case: tuple[list[Any], list[Any]]) -> None:
    said, chunks = case
    response = answer(*chunks)
    assert items(response) == said
    assert response.status == "completed"


# Whatever else comes.

ODD: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from(["", "f", "g", "x", '{"a":1}', '{"', "}", "\ud83c"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "url"]), inner, max_size=2)
    ),
    max_leaves=3,
)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: usual | ODD for name, usual in members.items()})


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


FUNCTIONS: Final = some(name=one_of("f", "g"), arguments=one_of("", '{"a":1}', '{"b"', ":2}"))
FRAGMENTS: Final = some(
    index=st.integers(0, 2), id=one_of("call_a", "call_b", ""), function=FUNCTIONS, custom=FUNCTIONS
)
DELTAS: Final = some(
    content=one_of("Hi", ""),
    refusal=one_of("No."),
    reasoning=one_of("Hm"),
    reasoning_details=st.lists(
        some(type=one_of("x"), text=one_of("t"), summary=one_of("s"), data=one_of("g")), max_size=2
    ),
    tool_calls=st.lists(FRAGMENTS, max_size=3),
    function_call=FUNCTIONS,
    annotations=st.lists(
        some(url_citation=some(url=one_of("u"), start_index=st.integers(-1, 9), end_index=st.integers(-1, 9)))
    ),
    images=st.lists(some(image_url=some(url=one_of("https://example.com/a.png"))), max_size=1),
)
CHOICES: Final = some(
    index=st.just(0),
    delta=DELTAS,
    message=DELTAS,
    finish_reason=one_of("stop", "length", "error", "content_filter"),
    logprobs=some(content=st.lists(some(token=one_of("t"), logprob=st.floats(-3, 0)), max_size=2)),
)
CHUNKS: Final = some(
    choices=st.lists(CHOICES, max_size=2),
    model=one_of("m"),
    usage=some(prompt_tokens=st.integers(0, 9), completion_tokens=st.integers(0, 9), total_tokens=st.integers(0, 30)),
    citations=one_of(["u"]),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CHUNKS, max_size=6), st.booleans())
def test_whatever_comes_becomes_a_stream_that_breaks_no_rule(chunks: list[Any], ends: bool) -> None:
    told = [{"object": "chat.completion.chunk", **one} for one in chunks]
    response = answer(*told, *[stop()] * ends)
    assert response.status in ("completed", "incomplete", "failed")
    names = [item.name for item in response.output if item.type in ("function_call", "custom_tool_call")]
    assert all(names)
