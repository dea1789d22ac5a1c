"""What the profiles make of the same stream: section 2 of ordering-rules.md and decisions 29 to 33, one by one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import pytest

from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation import PROFILES, Profile, Severity, validate_events
from responses_stream.validation.examples import Json, frame_of, stream_of

DONE: Final = "data: [DONE]\n\n"
DELTA: Final = "response.reasoning_text.delta"
ERROR: Final = '{"type":"error","error":{"type":"server_error","code":"server_error","message":"Broken.","param":null}}'
FLAT: Final = '{"type":"error","code":"server_error","message":"Broken.","param":null}'
BOTH: Final = (
    '{"type":"error","code":"server_error","message":"Broken.","param":null,'
    '"error":{"type":"server_error","code":"server_error","message":"Broken.","param":null}}'
)
ODD_BOTH: Final = BOTH.replace('"message":"Broken."', '"message":"Other."', 1)
CANCELLED: Final = 'V6: drop 2; set 2.response.status="cancelled"; set 2.response.error=null'
CUT_OPEN: Final = "V7: drop 8; set 8.response.output=[]"
SHORT: Final = (
    "V11: set 7.part.annotations=[]; set 8.item.content.0.annotations=[]; "
    "set 9.response.output.0.content.0.annotations=[]"
)


def severity_of(rule: str, source: Any, profile: Profile, ignore: Collection[str] = ()) -> Severity:
    """What a profile makes of the breach of a rule; nothing else may be wrong with the stream, but for warnings."""
    found = validate_events(source, profile, ignore=ignore).violations
    others = [str(violation) for violation in found if violation.rule != rule and violation.severity == "error"]
    assert others == [], profile
    told = {violation.severity for violation in found if violation.rule == rule}
    assert len(told) <= 1
    return told.pop() if told else "off"


def severities(
    rule: str, source: Any, profiles: Collection[Profile] = PROFILES, ignore: Collection[str] = ()
) -> dict[Profile, Severity]:
    return {profile: severity_of(rule, source, profile, ignore) for profile in profiles}


def framed(notation: str, done: bool) -> str:
    return "".join(map(frame_of, stream_of(notation))) + (DONE if done else "")


def whole(notation: str) -> list[Json]:
    """The stream with all members in each copy of the response that Open Responses wants (R054)."""
    full = to_builtins(ResponseObject(id="resp_01", model="example-model"))
    events = stream_of(notation)
    for event in events:
        if "response" in event:
            event["response"] = {**full, **event["response"]}
    return events


# Frames.


def test_the_done_marker_is_demanded_refused_or_neither() -> None:
    with_it, without = framed("V1", done=True), framed("V1", done=False)
    rest = ["R054"]
    assert severities("R006", with_it, ignore=rest) == {
        "strict": "off",
        "lenient": "off",
        "openai": "error",
        "open-responses": "off",
        "azure": "error",
    }
    assert severities("R006", without, ignore=rest) == {
        "strict": "off",
        "lenient": "off",
        "openai": "off",
        "open-responses": "error",
        "azure": "off",
    }


# The shape of errors.


@pytest.mark.parametrize(
    ("shape", "refused_in"),
    [
        (ERROR, {"azure"}),
        (FLAT, {"openai", "open-responses"}),
        (BOTH, {"openai", "open-responses", "azure"}),
        (ODD_BOTH, set(PROFILES)),
        ('{"type":"error"}', set(PROFILES)),
        ('{"type":"error","message":7}', set(PROFILES)),
    ],
)
def test_an_error_has_the_shape_of_the_profile(shape: str, refused_in: set[str]) -> None:
    told = severities("R170", stream_of(f"V6: set 2={shape}"), ignore=["R054", "R173", "R015", "R013"])
    assert told == {profile: "error" if profile in refused_in else "off" for profile in PROFILES}


def test_an_error_comes_before_failed_except_with_azure_where_it_stands_alone() -> None:
    alone = stream_of(f"V6: drop 0-3; insert 0 {FLAT}")
    for profile in ("strict", "lenient", "azure"):
        assert validate_events(alone, profile).violations == ()
    left = stream_of(f"V6: drop 3; set 2={FLAT}")
    assert severities("R171", left, ("strict", "lenient"), ["R173"]) == {"strict": "error", "lenient": "warning"}
    assert severity_of("R171", left, "azure", ["R173", "R029"]) == "off"
    later = stream_of(f"V6: set 2={FLAT}")
    assert severities("R173", later, ("strict", "lenient", "azure")) == {
        "strict": "off",
        "lenient": "off",
        "azure": "error",
    }
    assert severity_of("R173", stream_of("V6"), "openai") == "off"
    numbered = stream_of(f"V6: drop 0-3; insert 0 {FLAT}; set 0.sequence_number=3")
    assert severity_of("R174", numbered, "azure", ["R021"]) == "error"
    assert severity_of("R174", numbered, "strict", ["R021"]) == "off"


# How a response ends.


def test_cancelled_in_failed_is_ours_in_every_profile_but_openai() -> None:
    assert severities("R049", stream_of(CANCELLED), ignore=["R054"]) == {
        "strict": "off",
        "lenient": "off",
        "openai": "error",
        "open-responses": "off",
        "azure": "off",
    }
    assert severities("R048", stream_of(CANCELLED), ("strict", "lenient", "azure")) == {
        "strict": "off",
        "lenient": "off",
        "azure": "off",
    }


@pytest.mark.parametrize("terminal", ["completed", "incomplete"])
def test_cancelled_fits_no_other_end(terminal: str) -> None:
    notation = {"completed": "V1", "incomplete": "V7"}[terminal]
    events = stream_of(f'{notation}: set 9.response.status="cancelled"')
    rest = ["R054"]
    assert severities("R048", events, ignore=rest) == dict.fromkeys(PROFILES, "error")


def test_usage_may_be_missing_at_the_end() -> None:
    assert severities("R056", stream_of("V1: set 9.response.usage=null"), ignore=["R054"]) == dict.fromkeys(
        PROFILES, "off"
    )


def test_a_response_may_end_without_having_been_in_progress() -> None:
    short = stream_of("V1: drop 1-8; set 1.response.output=[]")
    assert severities("R037", short, ignore=["R054"]) == {
        "strict": "warning",
        "lenient": "warning",
        "openai": "warning",
        "open-responses": "warning",
        "azure": "off",
    }


def test_an_item_left_open_is_odd_in_a_failure_and_wrong_in_an_incomplete_response() -> None:
    rest = ["R054"]
    failed = stream_of(
        'V1: drop 6-9; insert 6 {"type":"response.failed","response":{"$R":{"status":"failed",'
        '"error":{"code":"server_error","message":"Broken."}}}}'
    )
    assert severities("R088", failed, ignore=rest) == dict.fromkeys(PROFILES, "warning")
    assert severities("R088", stream_of(CUT_OPEN), ignore=rest) == {
        **dict.fromkeys(PROFILES, "error"),
        "lenient": "warning",
    }
    assert severities("R079", stream_of("V1: drop 8"), ignore=rest) == dict.fromkeys(PROFILES, "error")


def test_a_failure_may_follow_an_incomplete_item() -> None:
    events = stream_of(
        'V7: set 9={"type":"response.failed","response":{"$R":{"status":"failed",'
        '"error":{"code":"server_error","message":"Broken."},"output":[{"$item":8}]}}}'
    )
    assert severities("R059", events, ignore=["R054"]) == dict.fromkeys(PROFILES, "off")


def test_the_first_event_is_created_for_every_reader() -> None:
    assert severities("R030", stream_of("V1: drop 0"), ignore=["R054"]) == dict.fromkeys(PROFILES, "error")


# Keep-alives.


@pytest.mark.parametrize(
    "notation",
    [
        'V1: insert 4 {"type":"keepalive"}',
        'V1: insert 0 {"type":"keepalive"}',
        'V1: insert 4 {"type":"keepalive"}; set 4.sequence_number=3; set 5.sequence_number=4; set 6.sequence_number=5; '
        "set 7.sequence_number=6; set 8.sequence_number=7; set 9.sequence_number=8; set 10.sequence_number=9",
    ],
    ids=["with the next number", "before created", "with the last number"],
)
def test_a_data_keepalive_is_taken_and_openai_is_told_of_it(notation: str) -> None:
    told = severities("R017", stream_of(notation), ignore=["R054", "R016"])
    assert told == {**dict.fromkeys(PROFILES, "off"), "openai": "warning"}


def test_a_keepalive_before_created_may_have_its_number() -> None:
    events = [{"type": "keepalive", "sequence_number": 0}, *stream_of("V1")]
    assert validate_events(events).violations == ()


# Types and names.


def test_only_open_responses_wants_a_slug_of_every_type_that_it_does_not_know() -> None:
    unknown = whole('V1: insert 4 {"type":"response.output_text.magic"}')
    assert severities("R016", unknown) == {
        "strict": "warning",
        "lenient": "off",
        "openai": "warning",
        "open-responses": "error",
        "azure": "warning",
    }
    for notation in ("V5", "V8", "V9", "V10", "V12"):
        told = {violation.rule for violation in validate_events(whole(notation), "open-responses").violations}
        assert told == {"R016"}
        assert validate_events(whole(notation)).violations == ()
    for notation in ("V1", "V2", "V3", "V6", "V7", "V11", "V13", "V14"):
        assert validate_events(whole(notation), "open-responses").violations == ()


def test_open_responses_has_its_own_names_for_raw_reasoning() -> None:
    ours = whole("V4")
    theirs: list[Json] = json.loads(json.dumps(ours).replace("response.reasoning_text.", "response.reasoning."))
    assert validate_events(theirs, "open-responses").violations == ()
    assert severity_of("R016", ours, "open-responses") == "error"
    for profile in ("strict", "lenient"):
        assert validate_events(ours, profile).ok
        assert validate_events(theirs, profile).ok
    mixed = whole('V4: set 5.type="response.reasoning.done"')
    told = severities("R133", mixed, ("strict", "lenient", "openai", "azure"))
    assert told == {"strict": "error", "lenient": "warning", "openai": "error", "azure": "error"}


def test_only_open_responses_wants_every_member_of_the_response() -> None:
    assert severities("R054", framed("V1", done=False), ignore=["R006"]) == {
        **dict.fromkeys(PROFILES, "off"),
        "open-responses": "error",
    }
    assert validate_events(whole("V1"), "open-responses").violations == ()


def test_open_responses_wants_numbers_to_grow_and_no_more() -> None:
    gap = whole("V1: set 9.sequence_number=12")
    told = severities("R023", gap)
    assert told == {**dict.fromkeys(PROFILES, "error"), "lenient": "warning", "open-responses": "warning"}
    back = whole("V1: set 5.sequence_number=4")
    assert severities("R022", back) == dict.fromkeys(PROFILES, "error")


@pytest.mark.parametrize("index", [0, 2, 3, 8, 9])
def test_a_gap_in_the_numbers_hides_nothing_that_breaks_a_lenient_reader(index: int) -> None:
    # The number that is missing is a warning there; what the event would have said is not.
    events = stream_of("V1")
    assert not validate_events(events[:index] + events[index + 1 :], "lenient").ok


def test_open_responses_and_lenient_readers_do_without_logprobs() -> None:
    told = severities("R109", whole("V1: del 4.logprobs"))
    assert told == {**dict.fromkeys(PROFILES, "error"), "lenient": "off", "open-responses": "off"}


# What services leave out.


@pytest.mark.parametrize(
    ("notation", "rule"),
    [
        ('V2: set 6.item.call_id="call_09"; set 7.response.output.0.call_id="call_09"', "R075"),
        ('V1: set 8.item.status="in_progress"; set 9.response.output.0.status="in_progress"', "R078"),
        ('V1: set 9.response.output.0.status="in_progress"', "R089"),
    ],
)
def test_what_openai_was_seen_to_do_is_a_warning_there(notation: str, rule: str) -> None:
    found: Mapping[Profile, list[tuple[str, str]]] = {
        profile: [
            (violation.rule, violation.severity)
            for violation in validate_events(stream_of(notation), profile, ignore=["R054", "R145"]).violations
        ]
        for profile in PROFILES
    }
    for profile, told in found.items():
        assert told[0] == (rule, "warning" if profile in ("lenient", "openai") else "error")
        assert {severity for _, severity in told} == {told[0][1]}


def _with_item(item: str) -> str:
    """V1 with one item more, which is added and done at once."""
    added = f'{{"type":"response.output_item.added","output_index":1,"item":{item}}}'
    done = f'{{"type":"response.output_item.done","output_index":1,"item":{item}}}'
    return f'V1: insert 9 {added}; insert 10 {done}; set 11.response.output=[{{"$item":8}},{{"$item":10}}]'


@pytest.mark.parametrize(
    "item",
    [
        '{"type":"reasoning","id":"rs_01","summary":[]}',
        '{"type":"mcp_approval_request","id":"mcpr_01","server_label":"a","name":"b","arguments":"{}"}',
        '{"type":"compaction","id":"cmp_01","encrypted_content":"x"}',
        '{"type":"program","id":"prg_01","call_id":"call_01","code":"1","fingerprint":"f"}',
    ],
)
def test_items_whose_status_openai_leaves_out(item: str) -> None:
    assert severity_of("R068", stream_of(_with_item(item)), "openai") == "off"
    assert severity_of("R068", stream_of("V8"), "openai") == "off"


@pytest.mark.parametrize("steps", ["del 7.item.action", "del 12.item.result"])
def test_members_that_openai_sends_late(steps: str) -> None:
    told = severities("R068", stream_of(f"V9: {steps}"), ("strict", "lenient", "openai", "azure"))
    assert told == {"strict": "error", "lenient": "warning", "openai": "off", "azure": "error"}


@pytest.mark.parametrize("steps", ["del 11.item.action", "del 18.item.result"])
def test_members_that_openai_sends_late_are_there_in_the_end(steps: str) -> None:
    events = stream_of(f"V9: {steps}")
    events[19]["response"]["output"] = [events[at]["item"] for at in (6, 11, 18)]
    assert severity_of("R068", events, "openai") == "error"


# Annotations.


def test_openai_annotates_before_the_text_is_done() -> None:
    late = stream_of("V11: move 5 7")
    assert severities("R117", late, ignore=["R054"]) == {**dict.fromkeys(PROFILES, "off"), "openai": "warning"}


def test_azure_does_not_repeat_annotations() -> None:
    rest = ["R054"]
    told = severities("R118", stream_of(SHORT), ignore=rest)
    assert told == {**dict.fromkeys(PROFILES, "error"), "lenient": "warning", "azure": "off"}
    other = stream_of("V11: set 8.item.content.0.annotations=[]; set 9.response.output.0.content.0.annotations=[]")
    assert severity_of("R112", other, "azure") == "off"
    assert severity_of("R112", other, "strict") == "error"


def test_azure_wants_the_name_of_the_function_again() -> None:
    told = severities("R145", stream_of("V2"), ignore=["R054"])
    assert told == {**dict.fromkeys(PROFILES, "off"), "azure": "error"}
    named = stream_of('V2: set 5.name="get_weather"')
    assert severities("R145", named, ignore=["R054"]) == dict.fromkeys(PROFILES, "off")
    other = stream_of('V2: set 5.name="other"')
    assert severities("R145", other, ignore=["R054"]) == {**dict.fromkeys(PROFILES, "error"), "lenient": "warning"}


def test_azure_knows_its_own_items() -> None:
    item = (
        '{"type":"bing_grounding_call","id":"bg_01","call_id":"call_01","arguments":"{}","name":"search",'
        '"status":"completed"}'
    )
    assert validate_events(stream_of(_with_item(item)), "azure").violations == ()


# Ids, and items beside each other.


def test_lenient_readers_go_by_output_index() -> None:
    rotated = stream_of('V14: every 10-14 item_id="msg_99"')
    told = severities("R081", rotated, ignore=["R054"])
    assert told == {**dict.fromkeys(PROFILES, "error"), "lenient": "warning"}
    swapped = stream_of('V15: set 4.item_id="fc_01"; set 5.item_id="fc_02"')
    assert validate_events(swapped, "lenient").ok


def test_several_items_may_be_open_at_once() -> None:
    for rule in ("R084", "R087"):
        told = severities(rule, stream_of("V15"), ignore=["R054", "R145"])
        assert told == {**dict.fromkeys(PROFILES, "warning"), "lenient": "off"}


def test_annotations_may_come_on_either_side_of_the_whole_text() -> None:
    for notation in ("V11", "V11: move 5 7"):
        assert validate_events(stream_of(notation)).violations == ()


def test_strict_takes_our_wire_without_demanding_it() -> None:
    for shape in (ERROR, FLAT, BOTH):
        assert validate_events(stream_of(f"V6: set 2={shape}")).violations == ()
    for done in (True, False):
        assert validate_events(framed("V1", done)).violations == ()
    for notation in ("V2", 'V2: set 5.name="get_weather"'):
        assert validate_events(stream_of(notation)).violations == ()
