"""How a command says that it cannot do what it was asked."""

from __future__ import annotations

from responses_stream.errors import ResponsesStreamError


class CommandError(ResponsesStreamError):
    """A command that ends with a sentence for people and a status for programs.

    Attributes:
        status: 1 when something failed, 2 when the call itself was wrong.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        self.status = status
        super().__init__(message)
