"""Damaged streams that real clients were asked to read: each is named by its rule, and the rule knows who breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import openai
import pytest

from responses_stream.validation import RULES, EventValidator, Profile, Report, validate_events
from responses_stream.validation.examples import frame_of, stream_of

from .client_streams import GOOD, PIECE, STREAMS, served

# The rule that a stream breaks, and the event at which that shows.
DAMAGED: Final = {
    "no_created": ("R030", 0),
    "no_item_added": ("R082", 2),
    "no_content_part": ("R093", 3),
    "no_dones": ("R079", 6),
    "content_missing": ("R068", 2),
    "wrong_item_id": ("R081", 3),
    "no_seq": ("R012", 0),
    "seq_zero": ("R022", 1),
    "idx_from_1": ("R062", 2),
    "no_indices": ("R013", 2),
    "two_same_index": ("R063", 9),
    "delta_after_done": ("R094", 7),
    "delta_after_item_done": ("R083", 9),
    "empty_output": ("R180", 9),
    "null_output": ("R053", 9),
    "usage_empty_details": ("R057", 9),
    "minimal_resp": ("R053", 0),
    "status_missing": ("R068", 2),
    "unknown_item": ("R065", 2),
    "ka_comment_id": ("R004", 0),
    "ka_inprogress": ("R035", 5),
    "no_terminal": ("R029", 9),
    "cancelled": ("R029", 10),
    "error_flat": ("R171", 7),
    "error_nested": ("R171", 7),
    "abrupt": ("R029", 9),
}
# What is odd about a stream that no client minds, or that is an honest failure.
LEGAL: Final[dict[str, set[str]]] = {
    "unknown_event": set(),
    "ka_comment": set(),
    "ka_event": set(),
    "crlf": {"R008"},
    "split": set(),
    "no_event_line": {"R003"},
    "no_done_sentinel": set(),
    "done_sentinel": set(),
    "failed": {"R088"},
    "incomplete": set(),
    "error_then_failed": {"R088"},
}
# Several members of one event, or one member of several, are missing for one reason.
WIDESPREAD: Final = {"no_indices", "usage_empty_details", "minimal_resp"}

_PY, _HELPER, _AGENTS = "openai-python", "openai-python .stream()", "openai-agents (py)"
_LANGCHAIN, _PYDANTIC, _LITELLM, _ANY = "langchain (py)", "pydantic-ai", "litellm", "any-llm"
_NODE, _NODE_HELPER, _NODE_AGENTS = "openai-node", "openai-node .stream()", "@openai/agents (js)"
_NODE_LANGCHAIN, _SDK, _OPEN_SDK = "langchain-js", "AI SDK openai", "AI SDK open-responses"
# The clients that raise or go wrong (shared/clients.md); where raising is the right answer, those that go wrong.
BROKEN: Final[dict[str, set[str]]] = {
    "no_created": {_HELPER, _NODE_HELPER},
    "no_item_added": {_HELPER, _NODE_HELPER, _SDK, _OPEN_SDK},
    "no_content_part": {_HELPER, _NODE_HELPER},
    "no_dones": {"codex"},
    "content_missing": {_HELPER, _NODE_HELPER},
    "wrong_item_id": {_SDK, _OPEN_SDK},
    "no_seq": set(),
    "seq_zero": set(),
    "idx_from_1": {_NODE_HELPER},
    "no_indices": {_HELPER, _NODE_HELPER, _SDK},
    "two_same_index": {_HELPER},
    "delta_after_done": {_PY, _LANGCHAIN, _PYDANTIC, _LITELLM, _ANY, _NODE, _NODE_LANGCHAIN, _SDK, _OPEN_SDK},
    "delta_after_item_done": {_PY, _LANGCHAIN, _PYDANTIC, _LITELLM, _ANY, _NODE, _NODE_LANGCHAIN, _SDK, _OPEN_SDK},
    "empty_output": {_HELPER, _NODE_HELPER, _NODE_AGENTS},
    "null_output": {_LANGCHAIN, _PYDANTIC, _NODE_HELPER, _NODE_AGENTS, _NODE_LANGCHAIN},
    "usage_empty_details": {"codex"},
    "minimal_resp": {_SDK},
    "status_missing": {_NODE_AGENTS},
    "unknown_item": {_AGENTS},
    "ka_comment_id": {_PY, _HELPER, _AGENTS, _LANGCHAIN, _PYDANTIC, _ANY},
    "ka_inprogress": {_NODE_HELPER},
    "no_terminal": {_PY, _LANGCHAIN, _PYDANTIC, _ANY, _NODE, _NODE_HELPER, _NODE_LANGCHAIN},
    "cancelled": {_LANGCHAIN, _PYDANTIC, _NODE_LANGCHAIN},
    "error_flat": {_NODE_LANGCHAIN},
    "error_nested": set(),
    "abrupt": set(),
}

BOTH: Final = pytest.mark.parametrize("profile", ["strict", "lenient"])


def judged(name: str, profile: Profile) -> Report:
    """The report on a stream, fed as its clients got it."""
    body = STREAMS[name]
    size = PIECE if name == "split" else len(body)
    return validate_events([body[at : at + size] for at in range(0, len(body), size)], profile)


def errors(report: Report) -> list[tuple[str, int]]:
    return [(found.rule, found.index) for found in report.violations if found.severity == "error"]


def test_every_stream_of_the_table_is_there() -> None:
    assert set(STREAMS) == {*DAMAGED, *LEGAL}
    assert len(set(STREAMS) - {"delta_after_item_done"}) == 36
    assert set(BROKEN) == set(DAMAGED)


@BOTH
def test_the_good_stream_is_good(profile: Profile) -> None:
    text = "".join(map(frame_of, stream_of(GOOD)))
    report = validate_events(text, profile)
    assert (report.events, report.violations) == (10, ())


@BOTH
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_stream_is_named_with_its_rule(name: str, profile: Profile) -> None:
    rule, index = DAMAGED[name]
    report, severity = judged(name, profile), RULES[rule].severity(profile)
    found = errors(report)
    if severity == "error":
        assert found[0] == (rule, index)
        assert len(found) == 1 or (name in WIDESPREAD and {other for other, _ in found} == {rule})
    else:
        assert found == []
        told = [(violation.rule, violation.index) for violation in report.violations]
        assert ((rule, index) in told) is (severity == "warning")
    assert report.ok is (severity != "error")


@BOTH
@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_stream_has_no_error(name: str, profile: Profile) -> None:
    report = judged(name, profile)
    assert errors(report) == []
    odd = {rule for rule in LEGAL[name] if RULES[rule].severity(profile) != "off"}
    assert {violation.rule for violation in report.violations} == odd


@pytest.mark.parametrize("name", BROKEN)
def test_the_rule_tells_the_clients_that_were_seen_to_break(name: str) -> None:
    rule, _ = DAMAGED[name]
    assert BROKEN[name] <= {breakage.client for breakage in RULES[rule].clients}
    told = [found for found in judged(name, "strict").violations if found.rule == rule]
    assert BROKEN[name] <= set(told[0].clients)


def test_a_vendor_event_is_legal_and_the_client_that_minds_it_is_known() -> None:
    assert "openai-node .stream()" in {breakage.client for breakage in RULES["R016"].clients}


@pytest.mark.parametrize(
    ("notation", "rule", "index"),
    [
        ("V1: drop 0", "R030", 0),
        ("V1: drop 8", "R079", 8),
        ("V1: drop 6", "R096", 6),
        ("V1: drop 6-7", "R104", 6),
        ('V1: every 4-5 item_id="msg_09"', "R081", 4),
        ("V1: del 9.response.output", "R053", 9),
        ("V1: set 9.response.usage.output_tokens_details={}", "R057", 9),
        ("V1: del 2.item.content; del 8.item.content", "R068", 2),
        ("V1: del 8.item.status", "R068", 8),
        ("V1: every 3-7 content_index=1", "R091", 3),
        ('V1: set 9={"type":"response.cancelled"}', "R029", 10),
        ('V1: insert 6 {"type":"response.in_progress","response":{"$R":{"output":[{"$item":2}]}}}', "R035", 6),
        ('V1: drop 3-9; insert 3 {"type":"error","message":"x","code":"y","param":null}', "R171", 4),
        ("V15: every 3-9 output_index=0", "R063", 3),
    ],
)
def test_other_ways_to_make_the_same_mistakes(notation: str, rule: str, index: int) -> None:
    assert errors(validate_events("".join(map(frame_of, stream_of(notation))))) == [(rule, index)]


@pytest.mark.parametrize("cut", range(1, len(STREAMS["split"]), 97))
def test_a_stream_that_breaks_off_is_named_at_its_end(cut: int) -> None:
    body = STREAMS["split"]
    judge = EventValidator()
    before = judge.feed(body[:cut]) if cut else []
    assert before == []
    [end] = judge.finish()
    assert (end.rule, end.index) == ("R029", judge.events)


# What the measurements say, seen again: the real client over a real socket.


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with served() as base, openai.OpenAI(base_url=base, api_key="-", max_retries=0, timeout=30) as client:
        yield client


def helped(client: openai.OpenAI, name: str) -> str:
    """The text that `.stream()` makes of a stream."""
    with client.responses.stream(model=name, input="Hi") as events:
        return events.get_final_response().output_text


def read(client: openai.OpenAI, name: str) -> list[str]:
    """The types of the events that the plain stream yields."""
    with client.responses.create(model=name, input="Hi", stream=True) as events:
        return [event.type for event in events]


@pytest.mark.parametrize(
    "name", ["split", "crlf", "no_event_line", "done_sentinel", "ka_comment", "ka_event", "no_seq"]
)
def test_the_client_reads_what_is_legal(client: openai.OpenAI, name: str) -> None:
    assert helped(client, name) == "Hello"


@pytest.mark.parametrize(
    "name",
    [
        *("no_created", "no_item_added", "no_content_part", "content_missing", "two_same_index", "no_terminal"),
        *("no_indices", "error_flat", "ka_comment_id"),
    ],
)
def test_the_client_breaks_with_the_error_that_the_rule_tells(client: openai.OpenAI, name: str) -> None:
    rule, _ = DAMAGED[name]
    [told] = [breakage.error for breakage in RULES[rule].clients if breakage.client == "openai-python .stream()"]
    with pytest.raises(Exception) as broken:  # noqa: PT011 - the catalogue says which
        helped(client, name)
    seen = f"{type(broken.value).__name__}: {broken.value}"
    assert told in (seen, "raises")


def test_the_plain_stream_breaks_at_a_comment_behind_an_id(client: openai.OpenAI) -> None:
    [told] = [breakage.error for breakage in RULES["R004"].clients if breakage.client == "openai-python"]
    with pytest.raises(json.JSONDecodeError) as broken:
        read(client, "ka_comment_id")
    assert f"JSONDecodeError: {broken.value}" == told


@pytest.mark.parametrize("name", ["no_terminal", "delta_after_done", "delta_after_item_done"])
def test_the_plain_stream_goes_wrong_without_a_word(client: openai.OpenAI, name: str) -> None:
    types = read(client, name)
    assert types == [event["type"] for event in map(json.loads, _data(STREAMS[name]))]
    rule, _ = DAMAGED[name]
    [told] = [breakage.error for breakage in RULES[rule].clients if breakage.client == "openai-python"]
    assert told.startswith("no error")


def test_the_helper_loses_a_text_that_the_last_copy_does_not_list(client: openai.OpenAI) -> None:
    [told] = [breakage.error for breakage in RULES["R180"].clients if breakage.client == "openai-python .stream()"]
    assert told == "no error, but an empty answer"
    assert helped(client, "empty_output") == ""


def _data(body: bytes) -> list[bytes]:
    return [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
