"""Text that comes in deltas. The joined deltas *are* the value (decision 4): it is never given, only confirmed."""

from __future__ import annotations

from responses_stream.builders import values
from responses_stream.errors import OutOfOrder


def joined(pieces: list[str]) -> str:
    """Return the text of *pieces*."""
    return "".join(pieces)


def confirmed(pieces: list[str], given: str | None, event: str, where: str, rule: str) -> str:
    """Return the text of *pieces*; *given*, where it is not None, has to be the same.

    Raises:
        InvalidType: *given* is not a string.
        OutOfOrder: *given* differs: what is missing has to be sent as a delta before *event*.
    """
    text = joined(pieces)
    if given is not None and values.text(event, given) != text:
        raise OutOfOrder(
            event,
            where,
            (event.removesuffix("done") + "delta", f"{event} without an argument"),
            f"the deltas make {_shown(text)}, the argument says {_shown(given)} ({rule})",
        )
    # No delta can come any more: the text stays joined, and its pieces go.
    pieces[:] = [text]
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
