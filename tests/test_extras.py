"""All extras of the project live in one environment: this one, which was made by asking for all of them at once."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "responses-stream"
EXTRAS = sorted(metadata.metadata(PROJECT).get_all("Provides-Extra") or [])


def needs(distribution: str, extras: set[str]) -> list[Requirement]:
    """Return what *distribution* asks for on this machine, with these *extras*."""
    found = [Requirement(line) for line in metadata.requires(distribution) or []]
    return [one for one in found if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras | {""})]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_test_extra_has_all_of_it(extra: str) -> None:
    named = {canonicalize_name(one.name) for one in needs(PROJECT, {"test"})}
    assert {canonicalize_name(one.name) for one in needs(PROJECT, {extra})} <= named


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_brings_fits_with_all_that_is_here(extra: str) -> None:
    """Down to the last package that it needs."""
    seen: set[tuple[str, frozenset[str]]] = set()
    left = needs(PROJECT, {extra})
    while left:
        one = left.pop()
        at = (canonicalize_name(one.name), frozenset(one.extras))
        assert one.specifier.contains(metadata.version(one.name), prereleases=True), f"{one} is not what is installed"
        if at not in seen and at[0] != PROJECT:
            seen.add(at)
            left += needs(one.name, set(one.extras))
