"""Which path and method is answered by what, and the proper answers for all others (decision 17)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.exchange import Exchange
from responses_stream.hosting.http import HttpReply, HttpRequest

if TYPE_CHECKING:
    from responses_stream.hosting.websocket_memory import Memory

ID: Final = "{response_id}"
"""The segment of a template that stands for the id of a response."""


@attrs.frozen
class Call:
    """One request on its way to its endpoint.

    Attributes:
        request: what was asked; the body of a `POST` is all there.
        request_id: what the request goes by (H9.12).
        exchange: who is told what becomes of it.
        response_id: the id in the path, as it stands there; empty where the path has none.
        memory: what the WebSocket remembers on which it was asked; None over HTTP.
    """

    request: HttpRequest
    request_id: str
    exchange: Exchange
    response_id: str = ""
    memory: Memory | None = None


Endpoint: TypeAlias = Callable[[Call], Awaitable[HttpReply]]


class Router:
    """Finds the endpoint of a request. A trailing slash is tolerated without a redirect (H20.19).

    Args:
        routes: the endpoint of each method, by path; one segment of a path may be `ID`.
    """

    def __init__(self, routes: Mapping[str, Mapping[str, Endpoint]]) -> None:
        self._routes = {tuple(path.split("/")): methods for path, methods in routes.items()}

    def find(self, request: HttpRequest) -> tuple[Endpoint, str]:
        """Return what answers *request*, and the id of the response in its path.

        `HEAD` is answered as `GET`; who sends the reply leaves out its body.

        Raises:
            HttpError: there is nothing at that path (404), or nothing for that method, with a complete `Allow` (405).
        """
        methods, response_id = self._lookup(request.path.rstrip("/"))
        if methods is None:
            raise HttpError(404, "not_found", "There is nothing at this path.")
        if request.method == "OPTIONS":
            return _options(_allow(methods)), response_id
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            message = "This path does not know that method."
            raise HttpError(405, "method_not_allowed", message, headers=(("allow", _allow(methods)),))
        return methods[method], response_id

    def _lookup(self, path: str) -> tuple[Mapping[str, Endpoint] | None, str]:
        segments = tuple(path.split("/"))
        if segments in self._routes:
            return self._routes[segments], ""
        for at in (-1, -2):
            if len(segments) >= 2 and segments[at]:
                template = list(segments)
                template[at] = ID
                if tuple(template) in self._routes:
                    return self._routes[tuple(template)], segments[at]
        return None, ""


def _allow(methods: Mapping[str, Endpoint]) -> str:
    known = {*methods, "OPTIONS"}
    if "GET" in known:
        known.add("HEAD")
    return ", ".join(sorted(known))


def _options(allow: str) -> Endpoint:
    async def answer(call: Call) -> HttpReply:
        return HttpReply(204, (("allow", allow), ("x-request-id", call.request_id)), b"")

    return answer
