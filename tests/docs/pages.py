"""The blocks of Python in a page, run in their order, in one namespace: what a reader has who has typed them all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

_BLOCK: Final = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


@cache
def run(page: str) -> Mapping[str, Any]:
    """Run all blocks of a page, once, and return what they have defined."""
    text = (DOCS / page).read_text()
    defined: dict[str, Any] = {"__name__": page}
    for block in _BLOCK.finditer(text):
        # A traceback tells the line of the page.
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(DOCS / page), "exec"), defined)
    return defined
