"""What a run of `openai-agents` spends: that of its own models, and that of agents which it runs as tools.

The models of the run say it at the end of each response, the framework counts all of it together, and adds to its
count when it likes. Both grow only, so the larger of the two is what is known.
"""

from __future__ import annotations

from operator import add, sub
from typing import Any, TypeAlias

import attrs
from agents import RunContextWrapper

from responses_stream.agents.contents import Usage

__all__ = ["Spending"]

_Counts: TypeAlias = tuple[int, ...]


@attrs.define(eq=False)
class Spending:
    """The tokens of one run, of which each is told once.

    Args:
        context: that of the run, before it has begun. One that goes on has the count of earlier turns.
    """

    _context: RunContextWrapper[Any]
    _before: _Counts = attrs.field(init=False)
    _heard: _Counts = attrs.field(init=False, default=(0, 0, 0, 0))
    _told: _Counts = attrs.field(init=False, default=(0, 0, 0, 0))

    def __attrs_post_init__(self) -> None:
        self._before = _counts(self._context.usage)

    def hear(self, usage: Any) -> None:
        """Take what a model says that it has spent on one response."""
        self._heard = tuple(map(add, self._heard, _counts(usage)))

    def news(self) -> Usage:
        """Return what was spent and not told yet."""
        counted = map(sub, _counts(self._context.usage), self._before)
        known = tuple(map(max, counted, self._heard))
        told, self._told = self._told, known
        return Usage(*map(sub, known, told))


def _counts(usage: Any) -> _Counts:
    cached = getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
    reasoning = getattr(usage.output_tokens_details, "reasoning_tokens", 0) or 0
    return usage.input_tokens, usage.output_tokens, cached, reasoning
