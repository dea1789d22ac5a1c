"""The catalogue: each rule of order as one object, in the order of their ids.

The modules beside this one hold the rules, one module for each part of a stream. They are read when a rule is first
asked for: judging a stream that breaks none needs no more than their ids and severities.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from responses_stream.validation.catalogue import (
    envelope,
    failures,
    framing,
    items,
    parts,
    reasoning,
    replays,
    requests,
    responses,
    terminals,
    text_annotations,
    tools,
    websocket,
)
from responses_stream.validation.rule import Rule

_SECTIONS: Final = (
    *(framing, envelope, responses, items, parts, text_annotations, reasoning, tools, failures, terminals, replays),
    *(websocket, requests),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.id: rule for part in _SECTIONS for rule in part.RULES})
"""All rules, by id."""
