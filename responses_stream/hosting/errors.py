"""Errors on HTTP: one JSON envelope for all of them, from the router to the handler (decision 19).

``{"error": {"code", "message", "param", "type", "details"?, "additionalInfo": {"request_id"}}}``, with the request id
in `x-request-id` as well, and in `x-platform-error-source` whose fault it was (H8.1 to H8.5). What a client may read
is written here; the text of an exception never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import UNSET

from responses_stream.errors import Problem, ResponsesStreamError
from responses_stream.hosting.endings import STORAGE_ERROR
from responses_stream.hosting.http import Headers, HttpReply, HttpRequest
from responses_stream.protocol.codec import encode
from responses_stream.protocol.response import ErrorBody, ErrorPayload
from responses_stream.protocol.tools import JsonObject

INTERNAL_MESSAGE: Final = "An internal server error occurred."
"""All that a client learns of a failure inside (H 0.3)."""

INTERNAL_CODE: Final = "server_error"
CONNECTION_OVER: Final = "websocket_connection_limit_reached"
CONNECTION_OVER_MESSAGE: Final = "The connection is as old as a connection may become. Open a new one."
"""What a client is told whose WebSocket has lived long enough (W8)."""

USER_TYPE: Final = "invalid_request_error"
SERVER_TYPE: Final = "server_error"

Source: TypeAlias = Literal["user", "platform", "upstream"]
"""Whose fault an error is: the request's, this server's, or the handler's (H8.5)."""


class HttpError(ResponsesStreamError):
    """An answer that is an error; raised where the fault is found, made a reply at the door.

    Attributes:
        status: the HTTP status.
        code: what programs look at.
        message: what people read.
        param: the member of the request that is at fault, if one is.
        type: the family of the error (H8.3).
        source: whose fault it is.
        problems: every place of a body that does not fit, each with its JSON path (H8.13).
        headers: further headers of the reply.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        type: str | None = None,
        source: Source = "user",
        problems: Sequence[Problem] = (),
        headers: Headers = (),
    ) -> None:
        self.status, self.code, self.message, self.param = status, code, message, param
        self.type = type or (USER_TYPE if source == "user" else SERVER_TYPE)
        self.source, self.problems, self.headers = source, tuple(problems), headers
        super().__init__(f"{status} {code}: {message}")

    def reply(self, request_id: str) -> HttpReply:
        """Return the reply that says this."""
        details: list[JsonObject] = [
            {"code": "invalid_value", "message": problem.message, "param": problem.path, "type": USER_TYPE}
            for problem in self.problems
        ]
        payload = ErrorPayload(
            code=self.code,
            message=self.message,
            param=self.param,
            type=self.type,
            details=details or UNSET,
            additional_info={"request_id": request_id},
        )
        headers = (*self.headers, ("x-platform-error-source", self.source))
        return json_reply(self.status, encode(ErrorBody(error=payload)), request_id, headers)


def internal_error(source: Source = "platform") -> HttpError:
    """Return the error of a failure that the client cannot help: of this server, or with `upstream` of its handler."""
    return HttpError(500, INTERNAL_CODE, INTERNAL_MESSAGE, source=source)


def storage_failure() -> HttpError:
    """Return the error of a store that cannot be asked, which is no answer to the question (H20.16, decision 19)."""
    message = "An internal error occurred where responses are stored. Please retry the request."
    return HttpError(500, STORAGE_ERROR, message, source="platform")


def not_found(response_id: str) -> HttpError:
    """Return the error of a response that is not there, whatever the reason (H5.2)."""
    message = f"Response with id '{response_id}' not found."
    return HttpError(404, USER_TYPE, message, param="response_id")


def duplicate_id() -> HttpError:
    """Return the error of a response id that is taken (H8.26)."""
    message = "A response with this id exists already."
    return HttpError(409, "response_id_conflict", message, param="response_id", type="conflict")


def bad_parameter(param: str, message: str) -> HttpError:
    """Return the error of a response that cannot do what is asked of it, or of a query that cannot be read."""
    return HttpError(400, USER_TYPE, message, param=param)


def check_may_wait(request: HttpRequest) -> None:
    """Check that the transport has room for an answer that takes as long as a run (pains.md G3).

    Raises:
        HttpError: it has not (503).
    """
    if not request.may_wait:
        message = "The server is answering as many requests as it can. Retry later."
        raise HttpError(503, "too_many_requests_waiting", message, source="platform", headers=(("retry-after", "1"),))


def shutting_down() -> HttpError:
    """Return the error of a server that takes nothing new because it is about to end (H8.28)."""
    return HttpError(503, "service_unavailable", "Server is shutting down.", source="platform")


def connection_over() -> HttpError:
    """Return the error of a WebSocket that has lived long enough (W8)."""
    return HttpError(400, CONNECTION_OVER, CONNECTION_OVER_MESSAGE)


def too_many_connections() -> HttpError:
    """Return the error of a connection above the most that there may be, for the transports that count them."""
    message = "The server has as many connections as it can. Retry later."
    return HttpError(503, "too_many_connections", message, source="platform", headers=(("retry-after", "1"),))


def bad_http(status: int = 400) -> HttpError:
    """Return the error of bytes that are not HTTP, for the transports that read HTTP themselves."""
    return HttpError(status, "bad_request", "The request is not valid HTTP.")


def json_reply(status: int, body: bytes, request_id: str, headers: Headers = ()) -> HttpReply:
    """Return a reply whose body is JSON."""
    own = (("content-type", "application/json"), ("content-length", str(len(body))), ("x-request-id", request_id))
    return HttpReply(status, (*own, *headers), body)
