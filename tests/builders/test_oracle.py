"""The judge itself: it accepts the base streams of the catalogue, and sees what the catalogue's examples break."""

from __future__ import annotations

import pytest

from .base_streams import EXAMPLES, NAMES, base_stream, broken
from .oracle import judge, rules


@pytest.mark.parametrize("name", NAMES)
def test_the_base_streams_have_no_error(name: str) -> None:
    assert judge(base_stream(name)) == []


@pytest.mark.parametrize("rule", EXAMPLES)
def test_the_example_of_a_rule_breaks_it(rule: str) -> None:
    name, *steps = EXAMPLES[rule]
    assert rule in rules(judge(broken(name, steps)))
