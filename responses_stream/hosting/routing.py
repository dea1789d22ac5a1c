"""Which path and method is answered by what, and the proper answers for all others (decision 17)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.http import HttpReply, HttpRequest

Endpoint: TypeAlias = Callable[[HttpRequest, str], Awaitable[HttpReply]]
"""Answers one request, given its id."""


class Router:
    """Finds the endpoint of a request. A trailing slash is tolerated without a redirect (H20.19).

    Args:
        routes: the endpoint of each method, by path.
    """

    def __init__(self, routes: Mapping[str, Mapping[str, Endpoint]]) -> None:
        self._routes = routes

    def find(self, request: HttpRequest) -> Endpoint:
        """Return what answers *request*. `HEAD` is answered as `GET`; who sends the reply leaves out its body.

        Raises:
            HttpError: there is nothing at that path (404), or nothing for that method, with a complete `Allow` (405).
        """
        methods = self._routes.get(request.path.rstrip("/") or "/")
        if methods is None:
            raise HttpError(404, "not_found", "There is nothing at this path.")
        if request.method == "OPTIONS":
            return _options(_allow(methods))
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            message = "This path does not know that method."
            raise HttpError(405, "method_not_allowed", message, headers=(("allow", _allow(methods)),))
        return methods[method]


def _allow(methods: Mapping[str, Endpoint]) -> str:
    known = {*methods, "OPTIONS"}
    if "GET" in known:
        known.add("HEAD")
    return ", ".join(sorted(known))


def _options(allow: str) -> Endpoint:
    async def answer(_: HttpRequest, request_id: str) -> HttpReply:
        return HttpReply(204, (("allow", allow), ("x-request-id", request_id)), b"")

    return answer
