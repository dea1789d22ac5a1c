"""`Rule`: one sentence that a stream has to keep, with all that is known about it.

A rule is data. It does not check anything: the modules beside this one do, and name a rule by its id when they find it
broken. What its breach costs depends on the profile: how strictly somebody reads, and whose habits are taken as given.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import attrs

from responses_stream.validation.examples import Example
from responses_stream.validation.profiles import Profile, Severity


class Breakage(NamedTuple):
    """A client that breaks, and how; measured with the versions that docs/rules.md names."""

    client: str
    error: str


def _frozen(profiles: Mapping[Profile, Severity]) -> Mapping[Profile, Severity]:
    return MappingProxyType(dict(profiles))


@attrs.frozen(kw_only=True)
class Rule:
    """One rule of order.

    Attributes:
        id: its name, which never changes: ``R014``.
        title: the sentence that has to hold.
        why: what goes wrong without it.
        source: who asks for it, and who disagrees.
        strict: what its breach means in the profile ``strict``, on which all but ``lenient`` stand.
        lenient: what it means in the profile ``lenient``.
        profiles: what it means in profiles that differ from ``strict``.
        hint: what mends it.
        breaks: a stream that breaks it first of all rules.
        holds: a stream that just does not break it.
        implies: other rules that `breaks` cannot help breaking too.
        clients: which clients break on it, and with which error.
    """

    id: str
    title: str
    why: str
    source: str
    strict: Severity
    lenient: Severity
    hint: str
    breaks: Example
    holds: Example
    profiles: Mapping[Profile, Severity] = attrs.field(factory=dict, converter=_frozen)
    implies: tuple[str, ...] = ()
    clients: tuple[Breakage, ...] = ()

    def severity(self, profile: Profile) -> Severity:
        """Return what a breach of this rule means in *profile*."""
        if profile in self.profiles:
            return self.profiles[profile]
        return self.lenient if profile == "lenient" else self.strict
