"""What must not be kept: credentials, found by the names they go by, and then wherever their values turn up.

A header, a query parameter or a member of a request whose name says that it holds a secret loses its value in all that
is printed or written. The values themselves are remembered for the time of one exchange, because servers repeat them:
in an error message, in a `location`, in the tools that a response echoes. What is forwarded is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from responses_stream.hosting.http import Headers

REDACTED: Final = "[redacted]"

_ENDINGS: Final = (
    "apikey", "authorization", "cookie", "credential", "credentials", "jwt", "passwd", "password", "secret",
    "signature", "token",
)  # fmt: skip
_SECRET_WORDS: Final = frozenset({"auth", "sig"})
_SECRET_ALONE: Final = frozenset({"code", "key"})
# Keys that open nothing.
_HARMLESS_KEYS: Final = frozenset({"cache", "idempotency", "websocket"})
# In a body only these: `key` and `token` are common words there.
_SECRET_MEMBERS: Final = frozenset(
    {
        "access_token", "api-key", "api_key", "apikey", "authorization", "client_secret", "cookie", "password",
        "refresh_token", "secret", "x-api-key",
    }
)  # fmt: skip

_HEADERS: Final = "headers"

_WORD: Final = re.compile(r"[a-z0-9]+")
_PARAMETER: Final = re.compile(r"([?&;])([^=&;?#\s\"'<>\\]+)=([^&;#\s\"'<>\\]+)")
# What is shorter would be found in words that have nothing to do with it.
_SHORTEST: Final = 8


def is_secret(name: str) -> bool:
    """Tell whether a header or a query parameter of this *name* holds a credential."""
    words = _WORD.findall(name.lower())
    if len(words) == 1 and words[0] in _SECRET_ALONE:
        return True
    if words[1:] and words[-1] == "key":
        return words[-2] not in _HARMLESS_KEYS
    return any(word in _SECRET_WORDS or word.endswith(_ENDINGS) for word in words)


def redact_headers(headers: Headers) -> list[tuple[str, str]]:
    """Return *headers* without the values of credentials."""
    return [(name, REDACTED if is_secret(name) else redact_parameters(value)) for name, value in headers]


def redact_parameters(text: str) -> str:
    """Return *text* with the credentials of each URL's query in it redacted."""
    return _PARAMETER.sub(
        lambda found: f"{found[1]}{found[2]}={REDACTED}" if is_secret(unquote_plus(found[2])) else found[0], text
    )


def redact_members(value: Any) -> Any:
    """Return JSON *value* without the credentials of tools: `authorization` and the like, and all of `headers`."""
    if isinstance(value, list):
        return [redact_members(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {name: _redact_member(name.lower(), member) for name, member in value.items()}


class Mask:
    """The credentials of one exchange, to be found wherever they turn up.

    Args:
        headers: of the request, and of the answer.
        query: of the request.
        body: what the request says, as JSON, where it does.
    """

    def __init__(self, headers: Headers, query: str = "", body: object = None) -> None:
        found = [*_of_headers(headers), *_of_query(query), *_of_members(body)]
        secrets = {form for secret in found if len(secret) >= _SHORTEST for form in _forms(secret)}
        # The longest first, so that of one within another nothing is left.
        ordered = sorted(secrets, key=len, reverse=True)
        self._longest = max((len(secret.encode()) for secret in ordered), default=0)
        self._text = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._bytes = re.compile(b"|".join(re.escape(secret.encode()) for secret in ordered)) if ordered else None

    def text(self, text: str) -> str:
        """Return *text* without the credentials."""
        return redact_parameters(self._text.sub(REDACTED, text) if self._text else text)

    def value(self, value: Any) -> Any:
        """Return JSON *value* without the credentials in its strings."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(member) for name, member in value.items()}
        return [self.value(element) for element in value] if isinstance(value, list | tuple) else value

    def stream(self) -> MaskedStream:
        """Return what masks a body that comes in pieces."""
        return MaskedStream(self._bytes, self._longest)


class MaskedStream:
    """A body whose credentials become asterisks, one for each byte, so that every other byte stays where it is."""

    def __init__(self, secrets: re.Pattern[bytes] | None, longest: int) -> None:
        self._secrets = secrets
        self._kept = max(longest - 1, 0)
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is known to be harmless by now; a credential may be cut anywhere, so the last bytes wait."""
        if self._secrets is None:
            return data
        known = self._secrets.sub(lambda found: b"*" * len(found[0]), self._tail + data)
        cut = max(len(known) - self._kept, 0)
        self._tail = known[cut:]
        return known[:cut]

    def finish(self) -> bytes:
        """Return the rest."""
        tail, self._tail = self._tail, b""
        return tail


def _of_headers(headers: Headers) -> Iterator[str]:
    for name, value in headers:
        if not is_secret(name):
            continue
        yield value
        if "cookie" in name:
            pairs = value.split(";")[: 1 if name == "set-cookie" else None]
            yield from (pair.partition("=")[2].strip().strip('"') for pair in pairs)
        else:
            yield value.rpartition(" ")[2]  # behind `Bearer`


def _of_query(query: str) -> Iterator[str]:
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        if is_secret(unquote_plus(name)):
            yield value
            yield unquote_plus(value)


def _of_members(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for element in value:
            yield from _of_members(element)
    if not isinstance(value, dict):
        return
    for name, member in value.items():
        if name.lower() in _SECRET_MEMBERS and isinstance(member, str):
            yield from (member, member.rpartition(" ")[2])
        elif name.lower() == _HEADERS and isinstance(member, dict):
            yield from _of_headers(tuple((key.lower(), text) for key, text in member.items() if isinstance(text, str)))
        else:
            yield from _of_members(member)


def _forms(secret: str) -> set[str]:
    """A value as it stands, and as JSON may write it."""
    written = msgspec.json.encode(secret).decode()[1:-1]
    return {secret, written, written.replace("/", "\\/")}


def _redact_member(name: str, member: Any) -> Any:
    if name in _SECRET_MEMBERS and isinstance(member, str):
        return REDACTED
    if name == _HEADERS and isinstance(member, dict):
        return dict.fromkeys(member, REDACTED)
    return redact_members(member)
