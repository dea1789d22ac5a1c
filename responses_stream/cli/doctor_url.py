"""What ``doctor`` does with a URL: it asks as a client does, through whatever stands in front of the server.

What can be seen from outside is what arrives, and when. An event does not say when it was sent, so what is held back
on the way is told from how it arrives: everything at once after a long wait, or in blocks that end in the middle of
events. A server that has little to say, or says it all at once, looks the same; that is told as well.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Final

import attrs
import httpx

from responses_stream.cli.calling import without_secrets
from responses_stream.protocol.ids import new_response_id
from responses_stream.sse import FrameDecoder
from responses_stream.stores.examination import Finding, Findings, said_by

_PATIENCE: Final = 30.0
_AT_ONCE: Final = 0.1
"""Within how many seconds events count as having come at once."""

_TOO_QUICK: Final = 0.5
"""How many seconds a stream has to take before anything can be said of how it came."""

_BLOCKS: Final = 3
"""From how many pieces on that end in the middle of an event, whose rest comes later, something cuts by size."""

_KEEP_ALIVE: Final = 15.0
"""After how many seconds of silence a server of ours gives a sign of life, unless it is told otherwise."""

_ENDS: Final = frozenset(
    {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "error"}
)


@attrs.frozen
class Caller:
    """How a server is called.

    Attributes:
        url: the public URL, without a slash at its end.
        headers: what to send besides our own.
        ask: what to ask the handler; None asks it nothing.
        model: the model to ask for.
        idle: how many seconds a stream may be silent before it is given up.
    """

    url: str
    headers: Sequence[tuple[str, str]] = ()
    ask: str | None = None
    model: str | None = None
    idle: float = 60.0


@attrs.frozen
class Arrival:
    """A piece of a stream, as it came in.

    Attributes:
        at: seconds since the request was sent.
        data: what it held, without a content coding.
    """

    at: float
    data: bytes


@attrs.frozen
class Course:
    """How a stream came in.

    Attributes:
        arrivals: its pieces.
        over: when it ended, in seconds since the request was sent.
        cut: how its connection broke; None where it ended in order.
        silent: whether it was given up because nothing came any more.
    """

    arrivals: Sequence[Arrival]
    over: float
    cut: str | None = None
    silent: bool = False

    @property
    def silences(self) -> list[float]:
        """How long nothing came: before the first piece, between the pieces, and at the end."""
        times = [0.0, *(arrival.at for arrival in self.arrivals), self.over]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    @property
    def types(self) -> list[str]:
        """The types of the events that have come as a whole."""
        decoder = FrameDecoder()
        return [frame.event for arrival in self.arrivals for frame in decoder.feed(arrival.data) if frame.event]


def look_at_url(caller: Caller) -> Sequence[Finding]:
    """Look at the server that *caller* calls."""
    findings = Findings()
    with httpx.Client(timeout=_PATIENCE, headers=[*caller.headers]) as client:
        look(client, caller, findings)
    return findings.found


def look(client: httpx.Client, caller: Caller, findings: Findings) -> None:
    """Look at the server that *caller* calls, by means of *client*."""
    _readiness(client, caller.url, findings)
    if not findings.is_final:
        _interface(client, caller.url, findings)
    if findings.is_final:
        return
    if caller.ask is not None:
        _stream(client, caller, findings)
    else:
        findings.warn(
            "stream",
            "not tried: whether something holds streams back or cuts them shows only where one is asked for",
            "give --ask TEXT, which runs the handler once",
        )


def _readiness(client: httpx.Client, url: str, findings: Findings) -> None:
    # It is at the root of a server, which is not always where the API is.
    place = f"{url.removesuffix('/v1')}/readiness"
    began = time.perf_counter()
    try:
        answer = client.get(place)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        findings.fail("reachable", said_by(error), "is the URL right, and does its host listen?", final=True)
        return
    seconds = time.perf_counter() - began
    findings.ok("reachable", f"it answers in {seconds * 1000:.1f} ms, by {answer.http_version}")
    if answer.is_success and b"healthy" in answer.content:
        findings.ok("readiness", f"{without_secrets(place)} answers {answer.status_code}")
    else:
        findings.warn(
            "readiness",
            f"{without_secrets(place)} answers {answer.status_code}",
            "nothing, where it is kept for the inside on purpose",
        )


def _interface(client: httpx.Client, url: str, findings: Findings) -> None:
    """Ask for a response that nobody has: how that is refused tells who answers."""
    response_id = new_response_id()
    try:
        answer = client.get(f"{url}/responses/{response_id}")
    except httpx.HTTPError as error:
        findings.fail("api", said_by(error), "does what stands in front reach the server?", final=True)
        return
    server = answer.headers.get("x-platform-server", "")
    status = answer.status_code
    if status in (401, 403):
        findings.fail("api", f"it refuses us with {status}", "give credentials with --header", final=True)
    elif status == 404 and _knows(answer, response_id):
        findings.ok("api", f"/responses is there{f', {server}' if server else ''}")
    elif status == 404:
        findings.fail(
            "api",
            "/responses/{id} answers 404, and not for want of that response",
            "is the path right, such as https://example.com/v1? and does a proxy replace what errors say?",
            final=True,
        )
    elif status >= 500:
        findings.fail("api", f"it answers {status}", "look at the log of the proxy and of the server", final=True)
    else:
        findings.warn("api", f"/responses/{{id}} answers {status} for an id that nobody has", "is it the right path?")


def _knows(answer: httpx.Response, response_id: str) -> bool:
    """Tell whether it is the response that is not there, and not the path."""
    try:
        return response_id in answer.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return False


def _stream(client: httpx.Client, caller: Caller, findings: Findings) -> None:
    body: dict[str, object] = {"input": caller.ask, "stream": True, "store": False}
    if caller.model is not None:
        body["model"] = caller.model
    timeout = httpx.Timeout(_PATIENCE, read=caller.idle)
    began = time.perf_counter()
    arrivals: list[Arrival] = []
    cut, is_silent = None, False
    try:
        with client.stream("POST", f"{caller.url}/responses", json=body, timeout=timeout) as answer:
            if not _head(answer, findings):
                return
            try:
                for data in answer.iter_bytes():
                    arrivals.append(Arrival(time.perf_counter() - began, data))  # noqa: PERF401  # what came before a cut counts
            except httpx.ReadTimeout:
                is_silent = True
            except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
                cut = said_by(error)
    except httpx.ReadTimeout:
        is_silent = True
    except httpx.HTTPError as error:
        cut = said_by(error)
    course = Course(arrivals, time.perf_counter() - began, cut, is_silent)
    judge(course, findings, caller.idle)


def _head(answer: httpx.Response, findings: Findings) -> bool:
    """Look at status and headers; tell whether a stream of events follows."""
    media = answer.headers.get("content-type", "none").partition(";")[0].strip().lower()
    if not answer.is_success or media != "text/event-stream":
        answer.read()
        said = f"it answers {answer.status_code} with {media}: {' '.join(answer.text.split())[:200]}"
        findings.fail("stream", said, "what it says is what every client gets; a model may be missing: --model")
        return False
    coding = answer.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        findings.fail(
            "headers",
            f"the stream is compressed on the way (content-encoding: {coding})",
            "what compresses has to gather first: leave text/event-stream out of it",
        )
        return True
    caching = answer.headers.get("cache-control", "")
    if "no-transform" not in caching or "no-cache" not in caching:
        findings.warn(
            "headers",
            f"cache-control is {caching or 'not there'}, and was 'no-cache, no-transform'",
            "let what stands in front pass it on: others behind it may buffer",
        )
        return True
    buffering = answer.headers.get("x-accel-buffering")
    # nginx keeps it for itself; who sees it has none in front, or one that was told to pass it on.
    seen = "came through" if buffering else "did not come through, as behind nginx, which follows and removes it"
    findings.ok("headers", f"content-encoding identity, cache-control {caching}; x-accel-buffering {seen}")
    return True


def judge(course: Course, findings: Findings, idle: float) -> None:
    """Note what can be told from how a stream came in."""
    types = course.types
    has_ended = bool(types) and types[-1] in _ENDS
    silences = course.silences
    if course.silent:
        _judge_silence(findings, idle)
    elif not has_ended:
        said = f"the stream was cut after {course.over:.1f} s, the last {silences[-1]:.1f} of them silent"
        why = f" ({course.cut})" if course.cut else ""
        findings.fail(
            "cut",
            f"{said}{why}, behind {types[-1] if types else 'no event at all'}",
            "something gives up streams that are silent: raise its limit (proxy_read_timeout of nginx, the idle "
            f"timeout of a balancer), or set sse_keep_alive_interval_seconds below {max(silences[-1], 1):.0f}; where "
            "it was not silent, the server has gone, or a limit on the whole time cuts it",
        )
    else:
        longest = max(silences)
        findings.ok(
            "cut",
            f"the stream came to its end ({types[-1]}) after {course.over:.1f} s; it was silent for {longest:.1f} s at "
            "most, and nothing can be said of longer silences",
        )
        if types[-1] in ("response.failed", "error"):
            findings.warn("answer", f"the response ended with {types[-1]}", "look at the log of the server")
    if types and not (course.silent or course.cut):
        _judge_gaps(course, findings, len(types))


def _judge_silence(findings: Findings, idle: float) -> None:
    said = f"nothing came for {idle:g} s, and the connection is still open"
    if idle > _KEEP_ALIVE:
        findings.fail(
            "keep-alive",
            said,
            f"a server gives a sign of life after {_KEEP_ALIVE:g} s, unless keep_alive is off: something holds it back",
        )
    else:
        findings.warn(
            "keep-alive", said, f"give --idle more than {_KEEP_ALIVE:g}, after which a server gives a sign of life"
        )


def _judge_gaps(course: Course, findings: Findings, count: int) -> None:
    first, last = course.arrivals[0].at, course.arrivals[-1].at
    pieces = len(course.arrivals)
    said = f"{count} events in {pieces} pieces, the first after {first:.2f} s, the last after {last:.2f} s"
    torn = [
        one
        for one, after in itertools.pairwise(course.arrivals)
        if not one.data.endswith(b"\n\n") and after.at - one.at > _AT_ONCE
    ]
    if len(torn) >= _BLOCKS:
        sizes = sorted(len(one.data) for one in torn)
        findings.fail(
            "buffering",
            f"{said}; {len(torn)} of them end in the middle of an event whose rest came later, after about "
            f"{sizes[len(sizes) // 2]} bytes",
            _UNBUFFER,
        )
    elif last - first > _AT_ONCE:
        findings.ok("buffering", said)
    elif last > _TOO_QUICK and count > 1:
        findings.fail(
            "buffering",
            f"{said}: all at once, after a wait",
            f"{_UNBUFFER}. Where the handler says all at once itself, even `response.created`, it is no proxy: ask the "
            "server directly, with --url of its own address, to tell these apart",
        )
    else:
        findings.warn("buffering", f"{said}: too quick to tell", "ask something that takes a second or more to answer")


_UNBUFFER: Final = (
    "something holds events back: switch off its buffering and compression of text/event-stream (proxy_buffering off "
    "of nginx), and let it pass x-accel-buffering on"
)
