"""The base streams of ordering-rules.md section 4, and the last column of its table: the steps that break them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from responses_stream.validation.examples import Json, base_stream, names, stream_of

__all__ = ["EXAMPLES", "NAMES", "Json", "base_stream", "broken"]

NAMES: Final = names()
EXAMPLES: Final[dict[str, list[str]]] = json.loads(Path(__file__).with_name("rule_examples.json").read_text("utf-8"))
"""For a rule, the stream and the steps that break it."""


def broken(name: str, steps: Iterable[str]) -> list[Json]:
    """Return a base stream after *steps*."""
    return stream_of(f"{name}: {'; '.join(steps)}")
