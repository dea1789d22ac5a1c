"""The catalogue: it is whole, it says what the protocol says, and its examples are what they claim to be."""

from __future__ import annotations

import re

import pytest

from responses_stream.validation import RULES, Example, Rule, validate_events
from responses_stream.validation.guide import CLIENTS
from responses_stream.validation.profiles import PROFILES
from responses_stream.validation.report import Violation

from .severities import EXPECTED

RULE = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def judged(rule: Rule, example: Example) -> tuple[Violation, ...]:
    """What is found in an example; a rule that its profile leaves out is asked for."""
    select = {rule.id} if rule.severity(example.profile) == "off" else ()
    return validate_events(example.source, select=select, **example.settings).violations


def test_there_are_176_rules_in_order_and_each_stands_under_its_id() -> None:
    assert len(RULES) == 176
    assert list(RULES) == sorted(EXPECTED)
    assert all(rule.id == id for id, rule in RULES.items())


@RULE
def test_the_severities_are_those_of_the_protocol(rule: Rule) -> None:
    assert {profile: rule.severity(profile) for profile in PROFILES} == EXPECTED[rule.id]


@RULE
def test_a_rule_names_a_profile_only_where_it_departs_from_strict(rule: Rule) -> None:
    assert "strict" not in rule.profiles
    assert "lenient" not in rule.profiles
    assert rule.strict not in rule.profiles.values()


@RULE
def test_the_texts_are_sentences(rule: Rule) -> None:
    for text in (rule.title, rule.why, rule.source, rule.hint):
        assert text == " ".join(text.split())
        assert text.count("`") % 2 == 0
    # A title stands in headings and in lists, and a name of the protocol is not written with a capital.
    assert not rule.title.endswith(".")
    assert re.match(r"[A-Z`]|[a-z]+_[a-z]+|logprobs", rule.title)
    assert len(rule.title.split()) >= 3
    for sentence in (rule.why, rule.hint):
        assert re.match(r"[A-Z`]", sentence)
        assert sentence.endswith(".")
        assert len(sentence.split()) >= 4
    assert rule.source


@RULE
def test_it_is_told_which_clients_break_and_how(rule: Rule) -> None:
    assert {breakage.client for breakage in rule.clients} <= set(CLIENTS)
    assert all(breakage.error for breakage in rule.clients)
    assert len(set(rule.clients)) == len(rule.clients)


@RULE
def test_what_is_implied_are_other_rules(rule: Rule) -> None:
    assert set(rule.implies) <= set(RULES) - {rule.id}


def test_no_two_rules_say_the_same() -> None:
    titles = [rule.title for rule in RULES.values()]
    assert len(set(titles)) == len(titles)


@RULE
def test_an_example_is_judged_where_the_rule_counts(rule: Rule) -> None:
    assert rule.breaks.profile == rule.holds.profile
    counts = any(rule.severity(profile) != "off" for profile in PROFILES)
    assert (rule.severity(rule.breaks.profile) != "off") is counts


@RULE
def test_the_two_examples_are_not_the_same(rule: Rule) -> None:
    # As text, because true is not 1 in JSON.
    told = [(repr(example.source), repr(example.settings)) for example in (rule.breaks, rule.holds)]
    assert told[0] != told[1]


@RULE
def test_the_breaking_example_breaks_the_rule_first(rule: Rule) -> None:
    found = [violation.rule for violation in judged(rule, rule.breaks)]
    assert rule.id in found
    assert set(found) <= {rule.id, *rule.implies}
    assert next(one for one in found if one not in rule.implies) == rule.id


@RULE
def test_the_breach_is_as_grave_as_the_rule_says(rule: Rule) -> None:
    expected = rule.severity(rule.breaks.profile)
    severities = [found.severity for found in judged(rule, rule.breaks) if found.rule == rule.id]
    assert severities[0] == (expected if expected != "off" else "warning")


@RULE
def test_the_other_example_just_holds(rule: Rule) -> None:
    found = judged(rule, rule.holds)
    assert rule.id not in {violation.rule for violation in found}
    assert [str(violation) for violation in found if violation.severity == "error"] == []


@RULE
def test_where_a_rule_is_off_nothing_is_said(rule: Rule) -> None:
    for profile in PROFILES:
        if rule.severity(profile) == "off":
            settings = {**rule.breaks.settings, "profile": profile}
            found = validate_events(rule.breaks.source, **settings).violations
            assert rule.id not in {violation.rule for violation in found}


def test_a_stream_that_names_no_frame_is_warned_of_once() -> None:
    text = re.sub(r"^event: .*\n", "", str(Example("V1", edits=()).source), flags=re.MULTILINE)
    found = validate_events(text).violations
    assert [(violation.rule, violation.severity) for violation in found] == [("R003", "warning")]


def test_what_a_failure_leaves_open_is_warned_of() -> None:
    left_open = RULES["R079"].holds
    found = validate_events(left_open.source, **left_open.settings).violations
    assert [(violation.rule, violation.severity) for violation in found] == [("R088", "warning")]


# What shared/clients.md measured to raise, or to go wrong: the rule that the damaged stream breaks, and the clients.
_MEASURED = {
    "R004": "openai-python, openai-python .stream(), openai-agents (py), langchain (py), pydantic-ai, any-llm",
    "R013": "openai-python .stream(), openai-node .stream(), AI SDK openai",
    "R016": "openai-node .stream()",
    "R029": "openai-python .stream(), openai-agents (py), litellm, @openai/agents (js), codex",
    "R030": "openai-python .stream(), openai-node .stream()",
    "R035": "openai-node .stream()",
    "R053": "langchain (py), pydantic-ai, openai-node .stream(), @openai/agents (js), langchain-js, AI SDK openai",
    "R057": "codex",
    "R062": "openai-node .stream()",
    "R063": "openai-python .stream()",
    "R065": "openai-agents (py)",
    "R068": "openai-python .stream(), openai-node .stream(), @openai/agents (js)",
    "R079": "openai-python .stream(), codex",
    "R081": "AI SDK openai, AI SDK open-responses",
    "R082": "openai-python .stream(), openai-node .stream(), AI SDK openai, AI SDK open-responses",
    "R083": "AI SDK openai, AI SDK open-responses, openai-python, langchain (py), pydantic-ai, litellm, any-llm",
    "R093": "openai-python .stream(), openai-node .stream()",
    "R171": "codex, openai-python .stream()",
    "R180": "openai-python .stream(), openai-node .stream(), @openai/agents (js)",
}


@pytest.mark.parametrize("rule", _MEASURED)
def test_what_was_measured_is_told(rule: str) -> None:
    assert set(_MEASURED[rule].split(", ")) <= {breakage.client for breakage in RULES[rule].clients}
