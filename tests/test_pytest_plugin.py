"""The pytest plugin, in the hands of its users: pytest runs in pytest, and a recorder listens to a real server."""

from __future__ import annotations

import ast
import functools
import gzip
import io
import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import httpx
import httpx2
import openai
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.codec import decode
from responses_stream.pytest_plugin import ResponseStreamRecorder, assert_valid_response_stream
from responses_stream.validation import RULES
from responses_stream.validation.examples import base_stream, stream_of
from responses_transports.h11_server import serve_async

pytest_plugins = ["pytester"]

GOOD = base_stream("V1")
WRONG_ID = stream_of('V1: set 4.item_id="msg_09"')
TWO_WRONGS = stream_of('V1: set 4.item_id="msg_09"; set 6.text="Hallo"')


def sse(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events)


def chunks_of(text: bytes, size: int = 7) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


async def later(pieces: list[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        yield piece


SOURCES: list[Callable[[list[dict[str, Any]], Path], object]] = [
    lambda events, _: events,
    lambda events, _: iter(events),
    lambda events, _: [decode(json.dumps(event)) for event in events],
    lambda events, _: sse(events),
    lambda events, _: sse(events).decode(),
    lambda events, _: chunks_of(sse(events)),
    lambda events, _: (chunk.decode() for chunk in chunks_of(sse(events))),
    lambda events, _: sse(events).replace(b"\n", b"\r\n"),
    lambda events, _: b"\n".join(json.dumps(event).encode() for event in events),
    lambda events, _: json.dumps(events, indent=2),
    lambda events, _: io.BytesIO(sse(events)),
    lambda events, _: io.StringIO(sse(events).decode()),
    lambda events, path: path if path.write_bytes(sse(events)) else None,
    lambda events, _: httpx.Response(200, content=sse(events)),
]
TOLERATED = ["R003", "R006", "R008"]  # what a text may lack that was not written as frames


@pytest.mark.parametrize("source", SOURCES)
def test_whatever_can_be_validated_can_be_asserted(source: Callable[..., object], tmp_path: Path) -> None:
    report = assert_valid_response_stream(source(GOOD, tmp_path / "stream"), ignore=TOLERATED)
    assert (report.ok, report.events, report.violations) == (True, 10, ())
    with pytest.raises(AssertionError) as failed:
        assert_valid_response_stream(source(WRONG_ID, tmp_path / "stream"), ignore=TOLERATED)
    lines = str(failed.value).splitlines()
    assert lines[0] == "the response stream is not valid in profile strict: 1 error in 10 events"
    [marked] = [line for line in lines if line.startswith("  > ")]
    assert marked.split() == [">", "4", "response.output_text.delta", "#4", "output", "0", "content", "0", "'Hel'"]


def test_a_failure_shows_the_rule_the_difference_the_way_out_and_the_clients_that_break() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_valid_response_stream(WRONG_ID)
    head, empty, *told = str(failed.value).splitlines()
    assert (head.partition(":")[2], empty) == (" 1 error in 10 events", "")
    assert told[0] == f"R081 at event 4: {RULES['R081'].title}"
    shown = [line.split() for line in told[1:8]]
    assert [(words[0], words[1]) for words in shown] == [
        ("2", "response.output_item.added"),
        ("3", "response.content_part.added"),
        (">", "4"),
        ("-", "$.item_id:"),
        ("+", "$.item_id:"),
        ("5", "response.output_text.delta"),
        ("6", "response.output_text.done"),
    ]
    assert ("'msg_09'" in told[4], "'msg_01'" in told[5]) == (True, True)
    assert told[8] == f"  hint: {RULES['R081'].hint}"
    assert told[9:] == ["  breaks AI SDK openai, AI SDK open-responses: text part msg_X not found"]


def test_several_violations_are_told_in_their_order_and_the_first_few_only() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_valid_response_stream(TWO_WRONGS)
    text = str(failed.value)
    assert text.startswith("the response stream is not valid in profile strict: 2 errors in 10 events")
    assert 0 < text.index("R081 at event 4") < text.index("R102 at event 6")
    many = [*GOOD[:2], *({"type": "", "sequence_number": 2 + at} for at in range(8))]
    with pytest.raises(AssertionError) as failed:
        assert_valid_response_stream(many)
    text = str(failed.value)
    assert text.count("R011 at event") == 5
    assert text.splitlines()[-1] == "and 4 more errors"


def test_what_is_missing_at_the_end_is_shown_behind_the_last_event() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_valid_response_stream(sse(GOOD[:-1]))
    lines = str(failed.value).splitlines()
    assert "  >    (the stream ends here)" in lines
    assert lines[lines.index("  >    (the stream ends here)") + 2].startswith("  +    response.completed or")


def test_a_frame_that_is_no_json_is_shown_as_it_came() -> None:
    broken = sse(GOOD[:2]) + b'data: {"type":"response.out\n\n' + sse(GOOD[2:])
    with pytest.raises(AssertionError, match="R001") as failed:
        assert_valid_response_stream(broken)
    assert '{"type":"response.out' in str(failed.value)


def test_another_protocol_is_told() -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}}]}
    with pytest.raises(AssertionError, match="it speaks another protocol: "):
        assert_valid_response_stream([chunk])


def test_warnings_are_returned_and_do_not_fail() -> None:
    report = assert_valid_response_stream(stream_of("V1: drop 1-8; set 1.response.output=[]"))
    assert [violation.rule for violation in report.violations] == ["R037"]
    assert assert_valid_response_stream(WRONG_ID, "lenient", ignore=["R1"]).ok
    with pytest.raises(AssertionError, match="profile lenient"):
        assert_valid_response_stream(GOOD[:-1], profile="lenient")


def test_the_settings_are_those_of_the_validator() -> None:
    assert assert_valid_response_stream(GOOD[4:], starting_after=3).ok
    assert assert_valid_response_stream([json.dumps(event) for event in GOOD], transport="websocket").events == 10
    report = assert_valid_response_stream(GOOD, request={"model": "example-model", "temperature": 0.2})
    assert [violation.rule for violation in report.violations] == ["R211"]
    with pytest.raises(InvalidValue, match="profile: is 'lax'"):
        assert_valid_response_stream(GOOD, "lax")  # type: ignore[call-overload]
    with pytest.raises(InvalidType):
        assert_valid_response_stream(3)


@pytest.mark.anyio
async def test_what_comes_asynchronously_is_awaited() -> None:
    for pieces in (GOOD, chunks_of(sse(GOOD))):
        assert (await assert_valid_response_stream(later(pieces), ignore=["R006"])).ok
    with pytest.raises(AssertionError, match="R081 at event 4"):
        await assert_valid_response_stream(later(WRONG_ID))


# The recorder.


def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=["You said: ", str(request.input)])


@contextmanager
def served(server: ResponsesServer) -> Iterator[str]:
    with anyio.from_thread.start_blocking_portal() as portal:
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
        yield f"http://127.0.0.1:{port}/v1"
        serving.cancel()


@pytest.fixture
def address() -> Iterator[str]:
    server = ResponsesServer()
    server.response_handler(echo)
    with served(server) as address:
        yield address


@pytest.mark.valid_response_streams
def test_what_a_real_server_sends_to_the_openai_client_is_recorded(
    response_stream_recorder: ResponseStreamRecorder, address: str
) -> None:
    recorder = response_stream_recorder
    with (
        httpx2.Client(transport=recorder.transport(httpx2.HTTPTransport())) as http,
        openai.OpenAI(base_url=address, api_key="-", http_client=http, max_retries=0) as client,
    ):
        told = [event.type for event in client.responses.create(model="m", input="one", stream=True)]
        with client.responses.stream(model="m", input="two") as events:
            assert events.get_final_response().output_text == "You said: two"
        client.responses.create(model="m", input="no stream")
    assert [stream.request and stream.request["input"] for stream in recorder.streams] == ["one", "two"]
    for stream in recorder.streams:
        assert [event.type for event in stream.events] == told
        assert stream.bytes.endswith(b"data: [DONE]\n\n")
        assert stream.report().violations == ()
        assert stream.assert_valid().events == len(told)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", ["transport", "watch"])
async def test_the_async_client_is_recorded_too(
    response_stream_recorder: ResponseStreamRecorder, address: str, way: str
) -> None:
    recorder = response_stream_recorder
    if way == "transport":
        http = httpx2.AsyncClient(transport=recorder.async_transport(httpx2.AsyncHTTPTransport()))
    else:
        http = recorder.watch(httpx2.AsyncClient(trust_env=False))
    async with http, openai.AsyncOpenAI(base_url=address, api_key="-", http_client=http, max_retries=0) as client:
        events = await client.responses.create(model="m", input="one", stream=True)
        told = [event.type async for event in events]
    [stream] = recorder.streams
    assert [event.type for event in stream.events] == told
    assert stream.report().ok


@pytest.mark.parametrize("family", [httpx, httpx2])
def test_both_families_of_clients_are_met_by_hooks_and_by_transports(address: str, family: Any) -> None:
    recorder = ResponseStreamRecorder()
    body = {"model": "m", "input": "x", "stream": True}
    with family.Client(transport=recorder.transport(family.HTTPTransport())) as client:
        text = client.post(f"{address}/responses", json=body).content
    with recorder.watch(family.Client(trust_env=False)) as client:
        assert client.post(f"{address}/responses", json=body).elapsed.total_seconds() >= 0
        assert client.get(f"{address}/models").json()["object"] == "list"
        with client.stream("POST", f"{address}/responses", json=body) as response:
            pieces = list(response.iter_bytes())
    first, second, third = recorder.streams
    assert first.bytes == text
    assert third.bytes == b"".join(pieces)
    assert [stream.request for stream in recorder.streams] == [body] * 3
    assert all(stream.complete and stream.report().ok for stream in (first, second, third))


def test_a_shared_client_is_given_back_as_it_was() -> None:
    def mine(response: httpx.Response) -> None:
        """A hook of the test's own."""

    recorder = ResponseStreamRecorder()
    with recorder.watch(httpx.Client(event_hooks={"response": [mine]})) as client:
        assert len(client.event_hooks["response"]) == 2
        recorder.close()
        assert client.event_hooks["response"] == [mine]


def answering(content: Any, **headers: str) -> httpx.MockTransport:
    """A transport that answers every request with an event stream."""
    sent = {"content-type": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=sent, content=content))


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("identity", sse(GOOD)),
        ("gzip", gzip.compress(sse(GOOD), mtime=0)),
        ("deflate", zlib.compress(sse(GOOD))),
    ],
)
def test_a_packed_body_is_unpacked(encoding: str, packed: bytes) -> None:
    recorder = ResponseStreamRecorder()
    transport = answering(iter(chunks_of(packed)), content_encoding=encoding)
    with httpx.Client(transport=recorder.transport(transport)) as client:
        assert client.get("http://test/").content == sse(GOOD)
    [stream] = recorder.streams
    assert stream.bytes == sse(GOOD)
    assert stream.request is None


def test_an_encoding_that_nobody_knows_here_is_told() -> None:
    recorder = ResponseStreamRecorder()
    transport = answering(iter([b"..."]), content_encoding="zstd-9")
    with httpx.Client(transport=recorder.transport(transport)) as client, client.stream("GET", "http://test/") as sent:
        list(sent.iter_raw())
    with pytest.raises(InvalidValue, match="'zstd-9' cannot be unpacked here"):
        recorder.streams[0].report()


def test_an_answer_that_was_never_sent_is_recorded_whole() -> None:
    recorder = ResponseStreamRecorder()
    with httpx.Client(transport=recorder.transport(answering(sse(GOOD)))) as client:
        client.post("http://test/", content=b"not JSON")
    [stream] = recorder.streams
    assert (stream.bytes, stream.complete, stream.request) == (sse(GOOD), True, None)


def test_nobody_asks_an_end_of_a_stream_that_its_reader_left() -> None:
    recorder = ResponseStreamRecorder()
    frames = [sse([event]) for event in GOOD]
    with httpx.Client(transport=recorder.transport(answering(iter(frames)))) as client:
        with client.stream("GET", "http://test/") as sent:
            first = next(sent.iter_raw())
        assert first == frames[0]
    [stream] = recorder.streams
    assert (stream.complete, stream.bytes) == (False, first)
    assert stream.report().violations == ()


def test_a_stream_that_the_server_broke_off_has_the_end_that_it_has() -> None:
    def breaking() -> Iterator[bytes]:
        yield sse(GOOD[:4])
        raise httpx.RemoteProtocolError("gone")

    recorder = ResponseStreamRecorder()
    with (
        httpx.Client(transport=recorder.transport(answering(breaking()))) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get("http://test/")
    [stream] = recorder.streams
    assert stream.complete
    assert [violation.rule for violation in stream.report().violations] == ["R029"]


def test_what_a_test_reads_itself_is_recorded_on_the_way() -> None:
    recorder = ResponseStreamRecorder()
    request = {"model": "example-model", "input": "x"}
    assert list(recorder.record(iter(chunks_of(sse(GOOD))), request)) == chunks_of(sse(GOOD))
    assert recorder.record(sse(GOOD)) == sse(GOOD)
    assert list(recorder.record(GOOD)) == GOOD
    typed = [decode(json.dumps(event)) for event in GOOD]
    assert list(recorder.record(typed)) == typed
    assert [stream.report(ignore=["R006"]).ok for stream in recorder.streams] == [True] * 4
    assert [len(stream.events) for stream in recorder.streams] == [10] * 4
    assert [stream.request for stream in recorder.streams] == [request, None, None, None]
    left = recorder.record(GOOD)
    next(left)
    assert recorder.streams[-1].complete is False


@pytest.mark.anyio
async def test_what_a_test_reads_asynchronously_is_recorded_on_the_way() -> None:
    recorder = ResponseStreamRecorder()
    assert [piece async for piece in recorder.record(later(WRONG_ID))] == WRONG_ID
    with pytest.raises(AssertionError, match=r"recorded stream 1 of 1 is not valid.*\n.*\nR081"):
        recorder.assert_valid()


def test_what_cannot_be_recorded_is_refused() -> None:
    recorder = ResponseStreamRecorder()
    for refused in (
        lambda: recorder.transport(httpx.AsyncHTTPTransport()),
        lambda: recorder.async_transport(object()),
        lambda: recorder.watch(object()),
        lambda: recorder.record(3),  # type: ignore[call-overload]
        lambda: recorder.record({"type": "error"}),
    ):
        with pytest.raises(InvalidType):
            refused()
    assert recorder.streams == []


# The plugin in pytest.


@pytest.fixture
def streams(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory with a good stream and a wrong one in a module."""
    pytester.makepyfile(streams=f"GOOD = {sse(GOOD)!r}\nWRONG = {sse(WRONG_ID)!r}\n")
    pytester.syspathinsert()
    return pytester


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(f"import pytest\nfrom streams import GOOD, WRONG\n{textwrap.dedent(code)}")
    return pytester.runpytest("-p", "no:cacheprovider", "-W", "error", "--strict-markers", *arguments)


def test_a_wrong_stream_fails_a_test_with_a_message_and_no_foreign_frames(streams: pytest.Pytester) -> None:
    result = run(
        streams,
        """
        from responses_stream.pytest_plugin import assert_valid_response_stream

        def test_good():
            assert_valid_response_stream(GOOD)

        def test_wrong():
            assert_valid_response_stream(WRONG)

        def test_wrong_by_fixture(assert_valid_response_stream):
            assert_valid_response_stream(WRONG, profile="openai")

        async def judge():
            async def chunks():
                yield WRONG
            await assert_valid_response_stream(chunks())

        def test_wrong_later():
            import asyncio
            asyncio.run(judge())
        """,
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*def test_wrong():",
            ">*assert_valid_response_stream(WRONG)",
            "E*AssertionError: the response stream is not valid in profile strict: 1 error in 10 events",
            "E*R081 at event 4, line 1[0-9], byte *",
            "E*>  4  response.output_text.delta*'Hel'",
            "E*- *$.item_id: is 'msg_09'",
            "E*+ *$.item_id: 'msg_01'*",
            "E*hint: *",
            "*profile openai*",
        ]
    )
    result.stdout.no_fnmatch_line("*assertion.py*")
    result.stdout.no_fnmatch_line("*transcript*")


MARKED = """
    def read(recorder, stream):
        assert b"".join(recorder.record([stream])) == stream

    @pytest.mark.valid_response_streams
    def test_good(response_stream_recorder):
        read(response_stream_recorder, GOOD)

    @pytest.mark.valid_response_streams(profile="strict")
    def test_wrong(response_stream_recorder):
        read(response_stream_recorder, GOOD)
        read(response_stream_recorder, WRONG)

    @pytest.mark.valid_response_streams("strict", ignore=["R081"])
    def test_ignored(response_stream_recorder):
        read(response_stream_recorder, WRONG)

    @pytest.fixture
    def client(response_stream_recorder):
        return response_stream_recorder

    @pytest.mark.valid_response_streams
    def test_wrong_by_another_fixture(client):
        read(client, WRONG)

    @pytest.mark.xfail(strict=True)
    @pytest.mark.valid_response_streams
    def test_known_to_be_wrong(client):
        read(client, WRONG)

    def test_unmarked(client):
        read(client, WRONG)

    @pytest.mark.valid_response_streams
    def test_that_failed_anyway(client):
        read(client, WRONG)
        raise KeyError("its own")

    @pytest.mark.valid_response_streams
    def test_without_streams(client):
        pass

    @pytest.mark.valid_response_streams
    def test_without_recorder():
        pass
    """


def test_a_marked_test_fails_at_its_end_when_a_recorded_stream_is_wrong(streams: pytest.Pytester) -> None:
    result = run(streams, MARKED)
    result.assert_outcomes(passed=3, failed=5, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_wrong *",
            "recorded stream 2 of 2 is not valid in profile strict: 1 error in 10 events",
            "R081 at event 4*",
            "*test_wrong_by_another_fixture *",
            "recorded stream 1 of 1 is not valid*",
            "*test_that_failed_anyway *",
            "*KeyError: 'its own'",
            "*test_without_streams *",
            "it is marked valid_response_streams, and response_stream_recorder recorded no event stream",
            "*test_without_recorder *",
        ]
    )


def test_the_ini_option_asks_it_of_every_test(streams: pytest.Pytester) -> None:
    streams.makeini("[pytest]\nvalid_response_streams = openai\n")
    result = run(
        streams,
        """
        def test_wrong(response_stream_recorder):
            list(response_stream_recorder.record([WRONG]))

        def test_good(response_stream_recorder):
            list(response_stream_recorder.record([GOOD]))

        @pytest.mark.valid_response_streams(ignore=["R08"])
        def test_marked(response_stream_recorder):
            list(response_stream_recorder.record([WRONG]))

        def test_without_streams():
            pass
        """,
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["recorded stream 1 of 1 is not valid in profile openai: 1 error in 10 events"])


def test_a_profile_that_is_none_is_told_before_any_test_runs(streams: pytest.Pytester) -> None:
    streams.makeini("[pytest]\nvalid_response_streams = lax\n")
    result = run(streams, "def test_it(): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*valid_response_streams = lax: there is no such profile; they are strict, *"])


def test_it_drives_a_real_server_in_a_project_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import functools, anyio, anyio.from_thread, httpx2, openai, pytest
        from responses_stream import ResponsesServer, TextResponse
        from responses_stream.sse import encode_event
        from responses_transports.h11_server import serve_async

        server = ResponsesServer()

        @server.response_handler
        async def answer(request, context):
            stream = context.stream()
            yield stream.emit_created()
            if request.input != "skip":
                yield stream.emit_in_progress()
                yield stream.output_item_message("Hello")
            yield stream.emit_completed()

        @pytest.fixture
        def client(response_stream_recorder):
            with anyio.from_thread.start_blocking_portal() as portal:
                serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
                http = response_stream_recorder.watch(httpx2.Client(trust_env=False))
                with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", http_client=http) as client:
                    yield client
                serving.cancel()

        @pytest.mark.valid_response_streams
        def test_good(client):
            assert len(list(client.responses.create(model="m", input="x", stream=True))) == 9

        @pytest.mark.valid_response_streams(select=["R037"])
        def test_selected(client, response_stream_recorder):
            list(client.responses.create(model="m", input="skip", stream=True))
            [stream] = response_stream_recorder.streams
            assert [found.rule for found in stream.report().violations] == ["R037"]
            assert stream.request["input"] == "skip"
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)


@pytest.mark.slow
def test_it_is_loaded_everywhere_and_disturbs_nobody(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass\n")
    result = pytester.runpytest_subprocess("-W", "error", "--strict-markers", "--strict-config", "--trace-config")
    result.assert_outcomes(passed=1, warnings=0)
    result.stdout.fnmatch_lines(["PLUGIN registered: <module 'responses_stream.pytest_plugin' from *"])


def test_loading_it_loads_nothing_else_of_the_package() -> None:
    program = """
        import sys, pytest
        before = {*sys.modules}
        import responses_stream.pytest_plugin
        print({*sys.modules} - before)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == {
        "responses_stream",
        "responses_stream._version",
        "responses_stream.pytest_plugin",
        "responses_stream.pytest_plugin.assertion",
    }
