"""The guide to the rules: what it says of one, and docs/rules.md, which is all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from responses_stream.validation import RULES, Rule
from responses_stream.validation.catalogue import framing
from responses_stream.validation.examples import names
from responses_stream.validation.guide import CLIENTS, explain, listed, markdown
from responses_stream.validation.profiles import PROFILES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
RULE = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


@pytest.fixture(scope="module")
def page() -> str:
    return markdown()


def test_the_page_in_the_docs_is_up_to_date(page: str) -> None:
    told = "run: python -m responses_stream.validation.guide > docs/rules.md"
    assert PAGE.read_text("utf-8") == page, told


def test_the_module_prints_the_page(page: str) -> None:
    command = [sys.executable, "-m", "responses_stream.validation.guide"]
    printed = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    assert printed.stdout == page


def test_every_rule_has_its_place_on_the_page_once_and_in_order(page: str) -> None:
    assert re.findall(r"^### (R\d{3}):", page, re.MULTILINE) == list(RULES)


def test_the_page_explains_profiles_streams_and_clients(page: str) -> None:
    for profile in PROFILES:
        assert re.search(rf"^\| `{profile}` \| .", page, re.MULTILINE)
    for name in names():
        assert re.search(rf"^### {name}: \S.*\n\n```text\n 0 \{{", page, re.MULTILINE)
    for client, version in CLIENTS.items():
        assert f"| {client} | {version} |" in page


def test_a_section_begins_with_what_its_module_says(page: str) -> None:
    assert "## Frames: R001 to R010\n\nHow the events of a stream are written as Server-Sent Events." in page
    assert framing.__doc__ is not None
    assert framing.__doc__.startswith("R001 to R010: how the events of a stream are written")


def test_the_page_is_well_formed(page: str) -> None:
    assert page.endswith("\n")
    assert not page.endswith("\n\n")
    assert "\n\n\n" not in page
    outside = re.sub(r"^```text\n.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for line in outside.splitlines():
        assert line == line.rstrip()
        assert line.count("`") % 2 == 0, line


def test_links_within_the_page_lead_somewhere(page: str) -> None:
    headings = [re.sub(r"[^a-z0-9 -]", "", line.lower().lstrip("# ")) for line in page.splitlines() if line[:1] == "#"]
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert links
    assert set(links) <= {heading.replace(" ", "-") for heading in headings}


def test_names_of_the_protocol_are_marked_as_code(page: str) -> None:
    prose = [line for line in page.splitlines() if line.startswith("### R")]
    assert any("`" in line for line in prose)
    for line in prose:
        outside = "".join(line.split("`")[::2])
        assert not re.search(r"[a-z]_[a-z]|response\.[a-z]", outside), line


@RULE
def test_an_explanation_says_all_that_the_catalogue_does(rule: Rule) -> None:
    told = " ".join(explain(rule).split())
    assert told.startswith(f"{rule.id} {rule.title}")
    for text in (rule.why, rule.source, rule.hint, rule.breaks.notation, rule.holds.notation):
        assert " ".join(text.split()) in told
    for client, error in rule.clients:
        assert re.search(rf"Breaks: [^:]*{re.escape(client)}(, [^:]*)?: {re.escape(' '.join(error.split()))}", told)
    for implied in rule.implies:
        assert implied in told
    for profile in PROFILES:
        assert profile in told or f"{rule.strict} in every profile" in told


@RULE
def test_an_explanation_fits_a_terminal_but_for_streams(rule: Rule) -> None:
    text, _, streams = explain(rule).partition("\nA stream that breaks it:\n")
    assert streams
    assert max(map(len, text.splitlines()[1:])) <= 100


@RULE
def test_an_explanation_shows_where_the_example_breaks(rule: Rule) -> None:
    _, _, breaking = explain(rule).partition("A stream that breaks it:\n")
    assert re.search(r"^  event \d+(, line \d+)?(, byte \d+)?, \$\S*: \S", breaking, re.MULTILINE)


_R081 = """\
R081  The `item_id` of an event is the id of the item at its `output_index`

Severity:     error in strict, openai, open-responses, azure; warning in lenient
Why:          Some clients go by the id and some by the index; the text lands in two places, or in
              none.
Asked for by: All sources; one recorded proxy breaks it
Hint:         Write the id of the added item into every event of the item.
Breaks:       AI SDK openai, AI SDK open-responses: text part msg_X not found

A stream that breaks it:
  V1: set 4.item_id="m9"
  event 4, $.item_id: is 'm9'; expected 'msg_01', the id of the item at 0
  {"type":"response.output_text.delta","item_id":"m9","output_index":0,"content_index":0,"delta":"Hel","logprobs":[],\
"sequence_number":4}

One that just does not:
  V1: every 3-7 item_id="m9"; set 2.item.id="m9"; set 8.item.id="m9"; set 9.response.output.0.id="m9"\
"""


def test_one_explanation_as_a_whole() -> None:
    assert explain(RULES["R081"]) == _R081


def test_a_change_of_the_text_is_shown_as_such() -> None:
    told = explain(RULES["R002"])
    assert 'V1 (as text, with "event: response.in_progress\\n" for "event: response.created\\n")' in told


def test_what_it_takes_to_judge_an_example_is_shown() -> None:
    assert "in profile openai" in explain(RULES["R017"])
    assert "over a WebSocket" in explain(RULES["R012"])
    assert "as the replay after 2" in explain(RULES["R082"])
    assert "It breaks R084 too." in explain(RULES["R087"])


def test_the_severity_in_one_profile() -> None:
    assert "Severity:     warning in lenient\n" in explain(RULES["R042"], "lenient")


def test_a_rule_in_a_list_is_one_line() -> None:
    assert listed(RULES["R006"]) == f"R006  off      {RULES['R006'].title}"
    assert listed(RULES["R006"], "azure") == f"R006  error    {RULES['R006'].title}"
