"""`Findings`: takes what the checks say, and keeps what counts in the profile.

The checks name a rule and a place, and know nothing of severities. Here it is decided whether somebody wants to hear
of it, how grave it is, and whether it was said before.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from responses_stream.errors import InvalidValue
from responses_stream.validation.catalogue import RULES
from responses_stream.validation.profiles import PROFILES, Profile
from responses_stream.validation.report import Gravity, Violation

_MOST_TOLD: Final = 10_000
_LONGEST: Final = 500
_LONGEST_CAUSE: Final = 100
# What an event that is missing leads to: numbers that do not go on, and states that were never reached.
_NUMBERS: Final = frozenset({"R021", "R023", "R191", "R202"})
_OWED: Final = frozenset(
    {
        *("R029", "R030", "R037", "R041", "R061", "R062", "R071", "R079", "R082", "R084", "R087", "R088", "R091"),
        *("R093", "R096", "R097", "R104", "R108", "R115", "R116", "R120", "R126", "R127", "R130", "R132", "R143"),
        *("R147", "R149", "R150", "R151", "R152", "R154", "R155", "R156", "R157", "R158", "R171", "R193", "R206"),
    }
)


class Findings:
    """The violations of one stream, and where the stream is.

    Attributes:
        profile: how the stream is read.
        index: the event that is being judged, from 0.
        line, offset: where it stands in the source; None where the source has no lines or bytes.
    """

    __slots__ = ("_excused", "_found", "_gravity", "_lost_at", "_told", "index", "line", "offset", "profile")

    def __init__(self, profile: Profile, select: Collection[str] = (), ignore: Collection[str] = ()) -> None:
        if profile not in PROFILES:
            raise InvalidValue("profile", f"is {profile!r}, but the profiles are {', '.join(PROFILES)}")
        self.profile = profile
        for argument, given in (("select", select), ("ignore", ignore)):
            if isinstance(given, str):
                raise InvalidValue(argument, f"is the string {given!r}, but a collection of rule ids is needed")
        self._gravity = _gravities(profile, tuple(select), tuple(ignore))
        self._found: list[Violation] = []
        self._told: set[tuple[str, str | int]] = set()
        self._excused, self._lost_at = 0, -1
        self.index = 0
        self.line: int | None = None
        self.offset: int | None = None

    def wanted(self, *rules: str) -> bool:
        """Whether a breach of one of *rules* would be reported: a check that costs something may ask."""
        return any(rule in self._gravity for rule in rules)

    def gravity(self, rule: str) -> Gravity | None:
        """How grave a breach of *rule* is at most; None where nobody wants to hear of it."""
        return self._gravity.get(rule)

    def say(
        self,
        rule: str,
        path: str,
        message: str,
        expected: str = "",
        *,
        index: int | None = None,
        at_most: Gravity = "error",
        once: str | None = None,
    ) -> bool:
        """Take a breach of *rule*; return whether it was news.

        Args:
            rule: its id.
            path: the JSON path in the event.
            message: what was seen.
            expected: what should have been there.
            index: the event, where it is not the one that is being judged.
            at_most: the greatest severity that this breach can have.
            once: a name for the cause; a breach of the same rule with the same cause is not told again.
        """
        gravity = self._gravity.get(rule)
        if gravity is None:
            return True
        if at_most == "warning":
            gravity = "warning"
        if once is not None:
            cause = (rule, once if len(once) <= _LONGEST_CAUSE else hash(once))
            if cause in self._told:
                return False
            if len(self._told) < _MOST_TOLD:
                self._told.add(cause)
        if self._is_excused(rule, gravity):
            return True
        known, here = RULES[rule], index is None
        self._found.append(
            Violation(
                rule=rule,
                severity=gravity,
                index=self.index if index is None else index,
                path=_printable(path),
                message=_printable(message),
                expected=_printable(expected),
                hint=known.hint,
                clients=tuple(dict.fromkeys(breakage.client for breakage in known.clients)),
                line=self.line if here else None,
                offset=self.offset if here else None,
            )
        )
        return True

    def excuse(self, events: int = 1) -> None:
        """Take it that *events* before this one were there and could not be read, which was told already.

        What follows from that alone is no further cause: the next number, and breaches of the rules that want an event
        to be there. It may be missed twice, at its place and when its item or the response is done.
        """
        if "R001" in self._gravity:
            self._excused += 2 * events
            self._lost_at = self.index

    def _is_excused(self, rule: str, gravity: Gravity) -> bool:
        if rule in _NUMBERS:
            return self._lost_at == self.index
        if not self._excused or rule not in _OWED:
            return False
        # A warning may stand before the error that is meant.
        self._excused -= gravity == "error"
        return True

    def take(self) -> list[Violation]:
        """Return what was found since the last call."""
        found, self._found = self._found, []
        if len(found) > 1:
            # Where a number tells that events are missing, and so does an error, the error says more of the one cause.
            graver = {one.index for one in found if one.severity == "error"}
            found = [
                one for one in found if one.severity == "error" or one.rule not in _NUMBERS or one.index not in graver
            ]
        return found


@functools.lru_cache(maxsize=64)
def _gravities(profile: Profile, select: tuple[str, ...], ignore: tuple[str, ...]) -> Mapping[str, Gravity]:
    """Return the rules that somebody wants to hear of, with the severity of their breach."""
    for argument, given in (("select", select), ("ignore", ignore)):
        for one in given:
            if not one or not any(rule.startswith(one) for rule in RULES):
                raise InvalidValue(argument, f"{one!r} is no rule and begins the id of none; they are R001 to R213")
    gravities: dict[str, Gravity] = {}
    for rule in RULES.values():
        chosen = any(rule.id.startswith(one) for one in select)
        if (select and not chosen) or any(rule.id.startswith(one) for one in ignore):
            continue
        severity = rule.severity(profile)
        if severity != "off":
            gravities[rule.id] = severity
        elif rule.id in select:
            # Somebody who asks for a rule by its whole id wants to hear of it.
            gravities[rule.id] = "warning"
    return MappingProxyType(gravities)


def _printable(text: str) -> str:
    """Return what was seen in a stream as it can be shown: not without end, and without what a terminal obeys."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
