"""How a command says that it cannot do what it was asked."""

from __future__ import annotations

from responses_stream.errors import ResponsesStreamError
from responses_stream.stores.examination import said_by
from responses_stream.stores.secrets import without_password


class CommandError(ResponsesStreamError):
    """A command that ends with a sentence for people and a status for programs.

    Attributes:
        status: 1 when something failed, 2 when the call itself was wrong.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        self.status = status
        super().__init__(message)


def store_failure(url: str, error: Exception) -> CommandError:
    """Return the failure of a command whose store *url* has raised *error*: what the engine has to say, on one line."""
    # Some clients repeat in their errors what they were given.
    return CommandError(f"{without_password(url)}: {without_password(said_by(error))}", status=1)
