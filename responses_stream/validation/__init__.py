"""How to judge a stream: `validate_events`, `EventValidator`, and the catalogue of the rules.

`validate_events` takes a whole stream and returns a `Report`; an `EventValidator` judges while the events come. Both
name what they find by the rules of `RULES`, each of which says why it is there, and which clients break without it.
"""

from __future__ import annotations

from responses_stream.validation.catalogue import RULES
from responses_stream.validation.examples import Example
from responses_stream.validation.profiles import PROFILES, Profile, Severity
from responses_stream.validation.report import Report, Violation
from responses_stream.validation.rule import Breakage, Rule
from responses_stream.validation.sources import Source
from responses_stream.validation.validator import EventValidator, Transport
from responses_stream.validation.whole import validate_events

__all__ = [
    "PROFILES",
    "RULES",
    "Breakage",
    "EventValidator",
    "Example",
    "Profile",
    "Report",
    "Rule",
    "Severity",
    "Source",
    "Transport",
    "Violation",
    "validate_events",
]
