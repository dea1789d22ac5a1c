"""The last events of a response that the server ends itself: told an error and failed, or cancelled.

By whom they are appended does not matter: the run, or the process that found what a dead one has left.
"""

from __future__ import annotations

from typing import Final

import attrs
import msgspec

from responses_stream.guarding import error_event, failed_event
from responses_stream.protocol.events import ResponseFailedEvent
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ResponseObject
from responses_stream.sse import encode_event

STORAGE_ERROR: Final = "storage_error"
STORAGE_MESSAGE: Final = (
    "An internal error occurred while storing the response. Subsequent retrieval is not guaranteed. "
    "Please retry the request."
)
"""What a client is told where the store has failed (H12.30)."""

RESTARTED: Final = "server_restarted"
RESTARTED_MESSAGE: Final = "The server was restarted while it made this response."
"""What a client is told of a response whose process has died."""


@attrs.frozen
class End:
    """How a response ends.

    Attributes:
        frames: its last events.
        response: as the last of them says it.
    """

    frames: list[bytes]
    response: ResponseObject


def error_frame(number: int, code: str, message: str, param: str | None = None) -> bytes:
    """Return the frame of an `error` event, in both of its shapes (decision 5)."""
    return encode_event(error_event(number, code, message, param))


def failed(
    said: ResponseObject, number: int, code: str, message: str, output: list[OutputItem], *, told: bool = False
) -> End:
    """Return the end of a response that has failed.

    Args:
        said: the response as it was told last.
        number: that of the next event.
        code: why, for programs.
        message: why, for people.
        output: the items that stay (decision 10).
        told: whether an `error` event is there already.
    """
    frames = [] if told else [error_frame(number, code, message)]
    event = failed_event(said, number + len(frames), code, message, output)
    return End([*frames, encode_event(event)], event.response)


def cancelled(said: ResponseObject, number: int) -> End:
    """Return the end of a response that was cancelled (decision 6, H4.8)."""
    response = as_cancelled(said)
    return End([encode_event(ResponseFailedEvent(sequence_number=number, response=response))], response)


def as_cancelled(said: ResponseObject) -> ResponseObject:
    """Return a response as it is when it was cancelled (H4.8)."""
    return msgspec.structs.replace(
        said, status="cancelled", error=None, output=[], incomplete_details=None, completed_at=None
    )
