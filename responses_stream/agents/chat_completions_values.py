"""Values in the chunks of Chat Completions servers, read as they were meant.

Packages of clients have objects where the wire has dicts. A member may be absent, null, empty, or of another type than
it should; then it says nothing. Characters may be cut in two, and tokens are counted under several names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from responses_stream.agents.contents import Usage

_HALVES: Final = re.compile("[\ud800-\udfff]")
_FIRST_HALF: Final = re.compile("[\ud800-\udbff]\\Z")


def members(of: Any) -> Any:
    """Return the members of an object at once, where that is quicker than to ask for one after the other."""
    extra = None if isinstance(of, Mapping) else getattr(of, "__pydantic_extra__", None)
    return of if extra is None else {**of.__dict__, **extra}


def member(of: Any, name: str) -> Any:
    """Return a member of a dict or of an object; None where it has none."""
    if type(of) is dict or isinstance(of, Mapping):
        return of.get(name)
    return getattr(of, name, None)


def piece_of(value: Any) -> str:
    """Return *value* where it is a string, as it is: a piece of a text. Anything else says nothing."""
    return value if isinstance(value, str) else ""


def text_of(value: Any) -> str:
    """Return *value* where it is a string, half characters replaced. Anything else says nothing."""
    return _mended(value) if isinstance(value, str) else ""


def _mended(text: str) -> str:
    if text.isascii() or not _HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def list_of(value: Any) -> Sequence[Any]:
    """Return *value* where it is a list; anything else holds nothing."""
    return value if isinstance(value, list | tuple) else ()


@attrs.define(eq=False)
class Characters:
    """Pieces of one text, whose characters a server may have cut in two (openclaw#115536)."""

    _half: str = attrs.field(init=False, default="")

    def take(self, text: str) -> str:
        """Return *text* with what was kept of the piece before it; half a character at its end is kept."""
        if not self._half and (text.isascii() or not _HALVES.search(text)):
            return text
        text = self._half + text
        cut = _FIRST_HALF.search(text)
        self._half = text[-1] if cut else ""
        return _mended(text[:-1] if cut else text)


def usage_of(usage: Any) -> Usage:
    """Return the tokens that *usage* tells of, under the names of any server."""
    read = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    of_read = member(usage, "prompt_tokens_details") or member(usage, "input_tokens_details")
    of_written = member(usage, "completion_tokens_details") or member(usage, "output_tokens_details")
    cached = _count(of_read, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens", "cached_tokens")
    thought = _count(of_written, "reasoning_tokens") or _count(usage, "reasoning_tokens")
    if thought and _count(usage, "total_tokens") == read + written + thought:
        # Some count what was thought beside what was written, and only the sum has both.
        written += thought
    return Usage(read, written, min(cached, read), min(thought, written))


def _count(of: Any, *names: str) -> int:
    for name in names:
        value = member(of, name)
        if isinstance(value, int | float) and math.isfinite(value) and value > 0:
            return int(value)
    return 0


def logprobs_of(listed: Any) -> list[dict[str, Any]]:
    """Return log probabilities as the protocol has them; what is none is left out (R110)."""
    return [told for told in map(_logprob, list_of(listed)) if told is not None]


def _logprob(told: Any) -> dict[str, Any] | None:
    token, value = member(told, "token"), member(told, "logprob")
    if not isinstance(token, str) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    code = list_of(member(told, "bytes"))
    top = logprobs_of(member(told, "top_logprobs"))
    return {"token": _mended(token), "logprob": value, "top_logprobs": top} | ({"bytes": [*code]} if code else {})
