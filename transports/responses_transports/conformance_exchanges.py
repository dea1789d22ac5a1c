"""The part of the conformance suite about whole requests and whole replies."""

from __future__ import annotations

import json

from responses_transports.conformance_engine import SECRET
from responses_transports.conformance_stage import Stage, Unexpected, pairs
from responses_transports.conforming import Conforming, conforms, conforms_where, meanwhile

_LARGE = bytes(range(256)) * 8192
_PART = b"p" * 200_000
"""More than a transport may well read before it asks the engine."""


class ExchangeConformance(Conforming):
    """Checks of requests and replies."""

    @conforms
    def test_a_request_arrives_as_plain_data(self, stage: Stage) -> None:
        client = stage.connect()
        target = "/v1/a%20b/%C3%BC%2B+?c=d%20e&c=&%C3%BC=%ff"
        client.ask("POST", target, [("X-One", "1"), ("x-latin", "caf\xe9"), ("X-THREE", "a, b")], b"the body")
        call = stage.call()
        asked = call.asked
        assert (asked.method, asked.path, asked.query) == ("POST", "/v1/a b/ü++", "c=d%20e&c=&%C3%BC=%ff")
        assert asked.target in ("", target), "a target is as it came, or is kept back"
        for name, value in (("x-one", "1"), ("x-latin", "caf\xe9"), ("x-three", "a, b"), ("host", "conformance")):
            assert asked.values(name) == [value], f"{name}: {asked.values(name)}"
        assert [name for name, _ in asked.headers] == [name.lower() for name, _ in asked.headers]
        assert asked.may_wait, "there is room"
        assert call.read_all() == b"the body"
        assert call.read() is None, "an end stays one"
        call.reply(b"the answer", ("content-type", "text/plain"))
        answer = client.answer("POST")
        assert (answer.status, answer.body) == (200, b"the answer")
        assert answer.header("content-type") == "text/plain"

    @conforms_where("keeps_fields_apart")
    def test_headers_of_one_name_stay_apart(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask(headers=[("X-Two", "1"), ("x-between", "0"), ("X-TWO", "2")])
        call = stage.call()
        assert (call.asked.values("x-two"), call.asked.values("x-between")) == (["1", "2"], ["0"])
        call.reply()
        assert client.answer().status == 200

    @conforms
    def test_methods_are_the_engines_business(self, stage: Stage) -> None:
        for method in ("GET", "DELETE", "OPTIONS", "PATCH", "PUT", "POST"):
            client = stage.connect()
            client.ask(method, "/", body=b"" if method[0] == "P" else None)
            call = stage.call()
            assert (call.asked.method, call.asked.path, call.asked.query) == (method, "/", "")
            assert call.read() is None, f"a {method} without a body has one"
            call.reply(method.encode())
            assert client.answer(method).body == method.encode()

    @conforms
    def test_a_large_body_arrives_whole(self, stage: Stage) -> None:
        client = stage.connect()
        with meanwhile(lambda: client.ask("POST", body=_LARGE)):
            call = stage.call()
            assert call.read_all() == _LARGE
        call.reply()
        assert client.answer("POST").status == 200

    @conforms_where("takes_chunks")
    def test_a_body_in_chunks_arrives_whole(self, stage: Stage) -> None:
        client = stage.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\n")
        client.send(b"defg\r\n0\r\n\r\n")
        call = stage.call()
        assert call.read_all() == b"abcdefg"
        call.reply()
        assert client.answer("POST").status == 200

    @conforms_where("streams_requests")
    def test_a_body_is_read_while_it_comes(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", headers=[("Content-Length", str(3 * len(_PART)))])
        with meanwhile(lambda: client.send(_PART)):
            call = stage.call()
            first = call.read()
        assert first, "nothing is read before all has come"
        with meanwhile(lambda: client.send(2 * _PART)):
            assert first + call.read_all() == 3 * _PART
        call.reply()
        assert client.answer("POST").status == 200

    @conforms_where("streams_requests")
    def test_a_client_that_leaves_in_its_body_ends_the_call(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", headers=[("Content-Length", str(3 * len(_PART)))])
        with meanwhile(lambda: client.send(_PART)):
            call = stage.call()
            assert call.read(), "nothing is read before all has come"
        client.leave()
        try:
            call.read_all()
        except Unexpected as seen:
            if seen.what not in ("broken", "cancelled"):
                raise
        else:
            raise AssertionError("half a body is taken for a whole")

    @conforms
    def test_a_body_may_stay_unread(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", body=b"x" * 100_000)
        stage.call().reply(b"too much", status=413)
        answer = client.answer("POST")
        assert (answer.status, answer.body) == (413, b"too much")

    @conforms_where("keeps_connections")
    def test_a_connection_is_used_again(self, stage: Stage) -> None:
        client = stage.connect()
        for number in range(3):
            client.ask("POST", f"/{number}", body=b"body %d" % number)
            call = stage.call()
            assert (call.asked.path, call.read_all()) == (f"/{number}", b"body %d" % number)
            call.reply(b"answer %d" % number)
            assert client.answer("POST").body == b"answer %d" % number

    @conforms
    def test_a_reply_goes_out_as_it_is(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask()
        headers = (("x-one", "1"), ("x-latin", "caf\xe9"), ("x-empty", ""), ("x-one", "2"), ("allow", "GET, POST"))
        stage.call().reply(b"\x00\xff\r\n", *headers, status=418)
        answer = client.answer()
        assert (answer.status, answer.body) == (418, b"\x00\xff\r\n")
        for name in dict.fromkeys(name for name, _ in headers):
            # Order means something only among those of one name (RFC 9110, section 5.3).
            assert pairs(answer.headers, name) == pairs(headers, name), f"{name}: {pairs(answer.headers, name)}"
        assert pairs(answer.headers, "content-length") == [("content-length", "4")]
        assert pairs(answer.headers, "transfer-encoding") == []

    @conforms
    def test_a_reply_may_have_no_body(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("OPTIONS")
        stage.call().reply(status=204, sized=False)
        answer = client.answer("OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert pairs(answer.headers, "transfer-encoding") == []

    @conforms
    def test_the_reply_to_head_keeps_its_length_and_has_no_body(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("HEAD")
        stage.call().reply(b"", ("content-length", "12"), sized=False)
        answer = client.answer("HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert pairs(answer.headers, "content-length") == [("content-length", "12")]
        if self.keeps_connections:
            client.ask("GET")
            stage.call().reply(b"the next")
            assert client.answer().body == b"the next"

    @conforms
    def test_a_large_reply_goes_out_whole(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask()
        stage.call().reply(_LARGE)
        answer = client.answer()
        assert answer.body == _LARGE
        assert answer.header("content-length") == str(len(_LARGE))

    @conforms
    def test_an_engine_that_fails_is_a_500_that_says_nothing(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", body=b"x")
        stage.call().fail()
        answer = client.answer("POST")
        assert answer.status == 500
        assert SECRET.encode() not in answer.body
        assert json.loads(answer.body)["error"]["code"] == "server_error"
        another = stage.connect()
        another.ask()
        stage.call().reply()
        assert another.answer().status == 200
