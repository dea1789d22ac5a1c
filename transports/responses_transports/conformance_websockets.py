"""The part of the conformance suite about WebSockets: a transport pumps messages, and closes as it is told."""

from __future__ import annotations

import contextlib

from responses_transports.conformance_client import BrokenOff, Client
from responses_transports.conformance_stage import Call, Stage
from responses_transports.conforming import Conforming, conforms, conforms_where

_LARGE = "ü" * 150_000


class WebSocketConformance(Conforming):
    """Checks of WebSockets."""

    @conforms_where("has_websocket")
    def test_a_handshake_arrives_as_plain_data(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask_for_websocket("/v1/a%20b?c=%20", [("X-One", "1")])
        call = stage.call("websocket")
        asked = call.asked
        assert (asked.method, asked.path, asked.query) == ("GET", "/v1/a b", "c=%20")
        assert asked.values("x-one") == ["1"]
        call.accept()
        assert client.head().status == 101
        call.end()
        assert client.message() == 1000
        call.wait_for("closed")

    @conforms_where("has_websocket")
    def test_messages_go_both_ways(self, stage: Stage) -> None:
        client, call = _open(stage)
        for text in ("one", "", "ünï ☃", _LARGE):
            client.send_text(text)
            assert call.wait_for("text").decode() == text
            call.piece(text.encode())
            assert client.message() == text
        _end(client, call)

    @conforms_where("has_websocket")
    def test_each_message_goes_out_before_the_next_is_asked_for(self, stage: Stage) -> None:
        client, call = _open(stage)
        for number in range(10):
            call.piece(b"%d" % number)
            assert client.message() == str(number)
        _end(client, call)

    @conforms_where("has_websocket")
    def test_messages_are_taken_while_none_goes_out(self, stage: Stage) -> None:
        client, call = _open(stage)
        call.wait_for_next()
        for number in range(10):
            client.send_text(str(number))
            assert call.wait_for("text") == b"%d" % number
        _end(client, call)

    @conforms_where("has_websocket")
    def test_the_session_says_the_close_code(self, stage: Stage) -> None:
        for code in (1000, 1001, 1011):
            client, call = _open(stage)
            call.end(code)
            assert client.message() == code
            call.wait_for("closed")

    @conforms_where("has_websocket")
    def test_a_client_that_closes_closes_the_session(self, stage: Stage) -> None:
        client, call = _open(stage)
        call.wait_for_next()
        client.send_close(1000)
        assert client.message() == 1000
        call.wait_for("closed")

    @conforms_where("has_websocket")
    def test_a_client_that_vanishes_closes_the_session(self, stage: Stage) -> None:
        """W11."""
        for at_once in (False, True):
            client, call = _open(stage)
            call.wait_for_next()
            client.leave(at_once=at_once)
            call.wait_for("closed")

    @conforms_where("has_websocket")
    def test_a_session_that_breaks_closes_the_connection(self, stage: Stage) -> None:
        client, call = _open(stage)
        call.wait_for_next()
        call.fail()
        with contextlib.suppress(BrokenOff):
            assert client.message() != 1000, "the client takes it for an end in order"
        call.wait_for("closed")

    @conforms_where("has_websocket")
    def test_a_handshake_may_be_refused(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask_for_websocket()
        stage.call("websocket").reply(b'{"error": 1}', ("x-one", "1"), status=426)
        answer = client.answer()
        if self.tells_refusals:
            assert (answer.status, answer.header("x-one"), answer.body) == (426, "1", b'{"error": 1}')
        else:
            assert answer.status == 403

    @conforms
    def test_a_handshake_without_websocket_is_a_request(self, stage: Stage) -> None:
        """W1: the engine has an answer for it."""
        if self.has_websocket:
            return
        client = stage.connect()
        client.ask_for_websocket("/v1/responses")
        call = stage.call()
        assert (call.asked.method, call.asked.path) == ("GET", "/v1/responses")
        assert call.asked.values("upgrade") == ["websocket"]
        call.reply(b"no", status=426)
        answer = client.answer()
        assert (answer.status, answer.body) == (426, b"no")


def _open(stage: Stage) -> tuple[Client, Call]:
    client = stage.connect()
    client.ask_for_websocket()
    call = stage.call("websocket")
    call.accept()
    assert client.head().status == 101
    return client, call


def _end(client: Client, call: Call) -> None:
    call.end()
    assert client.message() == 1000
    call.wait_for("closed")
