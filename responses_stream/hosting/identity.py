"""Whose a request is: the partition that it may see, and the session that its response belongs to.

Every lookup is made in the partition of the caller (decision 24), so that a foreign id is an unknown one. By default
the keys are headers that a gateway in front has set and checked; a server that is reached by strangers is given an
`identify` function that looks at the credentials itself (pains.md L4).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import attrs

from responses_stream.hosting.http import HttpRequest
from responses_stream.protocol.conversions import get_conversation_id
from responses_stream.protocol.ids import partition_of
from responses_stream.protocol.request import CreateResponse, given

_USER_HEADERS: Final = ("x-agent-user-isolation-key", "x-agent-user-id")
_CHAT_HEADER: Final = "x-agent-chat-isolation-key"
_SERVER_AGENT: Final = "server-default-agent"
_SESSION_LENGTH: Final = 63


@attrs.frozen
class Identity:
    """Who asks, and in which chat; both belong to the key of everything that is stored (H9.2 to H9.4).

    Attributes:
        user_key: the user. The empty string is a user of its own, and None is nobody in particular (H10.4, H10.9).
        chat_key: the chat, likewise.
    """

    user_key: str | None = None
    chat_key: str | None = None

    @property
    def partition(self) -> str:
        """The two keys as one string, which no other pair has."""
        if self.user_key is None and self.chat_key is None:
            return ""
        return json.dumps([self.user_key, self.chat_key], ensure_ascii=False, separators=(",", ":"))


Identify: TypeAlias = Callable[[HttpRequest], Identity | Awaitable[Identity]]
"""Tells whose a request is; may raise `HttpError` to refuse it."""


def identity_of_headers(request: HttpRequest) -> Identity:
    """Return the identity that the isolation headers give (decision 24)."""
    user = next((value for name in _USER_HEADERS if (value := request.header(name)) is not None), None)
    return Identity(user, request.header(_CHAT_HEADER))


def session_id_of(request: CreateResponse, configured: str | None) -> str:
    """Return the id of the session that a response belongs to (H9.20, H9.21).

    Args:
        request: what was asked for; it may name a session.
        configured: the session that this server serves, if it serves one only.
    """
    asked = (given(request.agent_session_id) or "").strip()
    if asked or configured:
        return asked or str(configured)
    anchor = get_conversation_id(request) or given(request.previous_response_id)
    if not anchor:
        return os.urandom(32).hex()[:_SESSION_LENGTH]
    agent = given(request.agent_reference)
    name = (given(agent.name) if agent else None) or _SERVER_AGENT
    version = (given(agent.version) if agent else None) or ""
    source = f"{name}:{version}:{partition_of(anchor) or anchor}"
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:_SESSION_LENGTH]
