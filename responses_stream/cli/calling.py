"""Calling a URL and handing out its answer while it comes; needs httpx, which the extra ``client`` installs.

The answer should be a stream of events. Anything else is told with its status and how its body begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import attrs

from responses_stream.cli.failure import CommandError
from responses_stream.cli.inputs import Reading
from responses_stream.tap.redaction import Mask, redact_parameters
from responses_stream.validation.capture_layers import Bytes, UnusableCapture, beginning, bounded
from responses_stream.validation.captures import Stream, read_capture, refusal_of
from responses_stream.validation.har import cursor_of

if TYPE_CHECKING:
    import httpx

_EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"
_LONGEST_BODY: Final = 1024 * 1024
_SHOWN: Final = 1024


def check_client() -> None:
    """Make sure that URLs can be called.

    Raises:
        CommandError: httpx is not installed.
    """
    try:
        import httpx  # noqa: F401 - whether it can be imported is the question
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise CommandError("URLs are called with httpx: pip install 'responses-stream[client]'") from None


def call(url: str, reading: Reading, note: Callable[[str], None]) -> Iterator[Stream]:
    """Call *url*, and yield the stream that it answers with; tell *note* what is odd about the answer.

    Raises:
        UnusableCapture: it cannot be called, or answers with something else. Taking the bytes of the stream raises it
            where nothing comes for too long.
    """
    import httpx

    method = "GET" if reading.request is None else "POST"
    headers = [("accept", f"{_EVENT_STREAM}, {_JSON};q=0.5"), *reading.headers]
    mask = Mask(tuple((name.lower(), value) for name, value in headers), url.partition("?")[2], reading.request)
    try:
        # Not to follow redirects is on purpose: credentials stay with the endpoint that was named.
        with (
            httpx.Client(timeout=reading.timeout) as client,
            client.stream(method, url, headers=headers, json=reading.request) as answer,
        ):
            body = Bytes(_chunks(answer, reading.timeout, note))
            if _is_event_stream(answer, body):
                # It is known what it is; and a replay may be empty.
                streams = iter([Stream(chunks=bounded(body, reading.max_bytes))])
            else:
                note(f"the answer has the media type {_media(answer)}; clients look for {_EVENT_STREAM}")
                streams = read_capture(body, max_bytes=reading.max_bytes)
            for stream in streams:
                yield attrs.evolve(stream, request=reading.request, starting_after=cursor_of(url))
    except httpx.TimeoutException:
        raise UnusableCapture(f"no answer within {reading.timeout:g} seconds; --timeout sets another limit") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnusableCapture(f"it cannot be called: {mask.text(str(error))}") from None
    except UnusableCapture as error:
        # Servers repeat what they were sent.
        raise UnusableCapture(mask.text(str(error))) from None


def without_secrets(url: str) -> str:
    """Return *url* as it may be shown: without a user, and without the credentials in its query."""
    try:
        found = urlsplit(url)
    except ValueError:
        return redact_parameters(url)
    return redact_parameters(urlunsplit(found._replace(netloc=found.netloc.rpartition("@")[2])))


def _is_event_stream(answer: httpx.Response, body: Bytes) -> bool:
    """Whether the answer says that it is a stream of events.

    Raises:
        UnusableCapture: it says that it failed, or is JSON.
    """
    import httpx

    if not answer.is_success:
        status = f"{answer.status_code} {answer.reason_phrase or httpx.codes.get_reason_phrase(answer.status_code)}"
        where = f", see {answer.headers['location']}" if "location" in answer.headers else ""
        raise UnusableCapture(f"it answers with {status.rstrip()}{where}{beginning(body.look(_SHOWN))}")
    media = _media(answer)
    if media == _JSON and bytes(body.look(1)[:1]) in (b"{", b"["):
        data = bytes(body.look(_LONGEST_BODY))
        raise UnusableCapture(refusal_of(data) or f"it answers with {_JSON}, not a stream of events{beginning(data)}")
    return media == _EVENT_STREAM


def _media(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "none")).partition(";")[0].strip().lower()


def _chunks(answer: httpx.Response, timeout: float, note: Callable[[str], None]) -> Iterator[bytes]:
    import httpx

    count = 0
    try:
        for chunk in answer.iter_bytes():
            count += len(chunk)
            yield chunk
    except httpx.TimeoutException:
        raise UnusableCapture(
            f"nothing came for {timeout:g} seconds, after {count} bytes; --timeout sets another limit"
        ) from None
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        # Where the stream breaks off is for the rules to judge.
        note(f"the connection broke after {count} bytes: {error}")
    except httpx.DecodingError as error:
        raise UnusableCapture(f"its content-encoding is damaged after {count} bytes: {error}") from None
