"""Options are checked when they are set."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any, get_type_hints

import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, ResponsesServer, ResponsesServerOptions

TYPES = get_type_hints(ResponsesServerOptions)
NUMBERS = [name for name, kind in TYPES.items() if kind is int]
SECONDS = [name for name in TYPES if name.endswith("_seconds")]
FLAGS = [name for name, kind in TYPES.items() if kind is bool]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"id_prefix": "a_b"}, InvalidValue),
        ({"id_prefix": ""}, InvalidValue),
        ({"id_prefix": 3}, InvalidType),
        ({"default_model": 3}, InvalidType),
        ({"models": "tutor"}, InvalidType),
        ({"models": 3}, InvalidType),
        ({"models": [3]}, InvalidType),
        ({"models": ["tutor", " "]}, InvalidValue),
        ({"prefix": 3}, InvalidType),
        ({"additional_server_version": 3}, InvalidType),
        ({"additional_server_version": "a\r\nb: c"}, InvalidValue),
        ({"agent_session_id": 3}, InvalidType),
        ({"agent_session_id": "é"}, InvalidValue),
        ({"keep_alive": "loud"}, InvalidValue),
        ({"keep_alive": None}, InvalidType),
        ({"on_failure": "panic"}, InvalidValue),
        ({"store": 3}, InvalidType),
        ({"transport": 3}, InvalidType),
        ({"store": "mysql://x"}, InvalidValue),
        ({"host": None}, InvalidType),
        ({"host": " "}, InvalidValue),
        ({"port": -1}, InvalidValue),
        ({"port": 65536}, InvalidValue),
        ({"fd": -1}, InvalidValue),
        ({"fd": "3"}, InvalidType),
        ({"fd": True}, InvalidType),
        *(({name: 3}, InvalidType) for name in ("server", "unix_socket", "certfile", "keyfile")),
        ({"max_body_bytes": 0}, InvalidValue),
        ({"max_json_depth": -1}, InvalidValue),
        ({"max_sync_handlers": 1.5}, InvalidType),
        ({"max_sync_handlers": True}, InvalidType),
        ({"default_fetch_history_count": 0}, InvalidValue),
        ({"default_fetch_history_count": -2}, InvalidValue),
        *(({name: wrong}, InvalidType) for name in NUMBERS for wrong in ("1", None, True, 1.0)),
        *(({name: 0}, InvalidValue) for name in NUMBERS if name != "port"),
        *(({name: wrong}, InvalidType) for name in SECONDS for wrong in ("1", True)),
        *(({name: wrong}, InvalidValue) for name in SECONDS for wrong in (0, -1.5, math.inf, math.nan)),
        *(({name: wrong}, InvalidType) for name in FLAGS for wrong in ("true", 1, None)),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """H14.1 to H14.5: at construction."""
    with pytest.raises(error, match=f"^{next(iter(options))}: "):
        ResponsesServerOptions(**options)


def test_the_defaults_are_those_of_the_decisions() -> None:
    """Decisions 2, 10, 14, 15, 18, 25 and 27; H14.5 and H14.11."""
    options = ResponsesServerOptions()
    assert (options.sse_done_marker, options.keep_alive, options.sse_keep_alive_interval_seconds) == (
        True,
        "comment",
        15,
    )
    assert (options.on_failure, options.id_prefix, options.default_fetch_history_count) == ("keep", "resp", 100)
    assert (options.cancel_grace_seconds, options.shutdown_grace_period_seconds) == (10, 10)
    assert (options.max_body_bytes, options.max_log_bytes) == (16 * 2**20, 64 * 2**20)
    assert (options.max_json_depth, options.max_input_items, options.max_concurrent_runs) == (64, 10_000, 10_000)
    assert (options.header_seconds, options.idle_seconds, options.write_stall_seconds) == (10, 75, 30)
    assert (options.event_retention_seconds, options.response_retention_seconds) == (10 * 60, 24 * 60 * 60)
    assert (options.max_stored_responses, options.host, options.port) == (10_000, "127.0.0.1", 8088)
    assert (options.unix_socket, options.fd, options.certfile, options.keyfile) == (None, None, None, None)
    assert (options.workers, options.max_connections, options.max_header_bytes) == (1, 10_000, 64 * 1024)
    assert (options.server, options.access_log) == (None, False)


def test_a_websocket_is_offered_and_lives_an_hour() -> None:
    """W1, W8."""
    assert (ResponsesServerOptions().websocket, ResponsesServerOptions().websocket_seconds) == (True, 3600)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"default_model": " tutor "}, "tutor"),
        ({"default_model": ""}, None),
        ({"models": ["a", " b "]}, ("a", "b")),
        # H1.2
        ({"prefix": " /api/v2/ "}, "/api/v2"),
        ({"prefix": "api"}, "/api"),
        ({"prefix": " / "}, None),
        # H14.1
        ({"additional_server_version": " mine/1.0 "}, "mine/1.0"),
        ({"additional_server_version": "  "}, None),
        # H9.20
        ({"agent_session_id": " s "}, "s"),
        ({"agent_session_id": ""}, None),
        ({"transport": ""}, None),
        *(({name: " "}, None) for name in ("server", "unix_socket", "certfile", "keyfile")),
        ({"unix_socket": " /run/a.sock "}, "/run/a.sock"),
        ({"fd": 0}, 0),
        ({"default_fetch_history_count": -1}, -1),
        ({"sse_keep_alive_interval_seconds": None}, None),
        ({"port": 0}, 0),
    ],
)
def test_blanks_go_and_nothing_left_means_none(given: dict[str, Any], kept: object) -> None:
    options = ResponsesServerOptions(**given)
    assert getattr(options, next(iter(given))) == kept
    assert attrs.evolve(options) == options


def test_options_do_not_change() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(default_model="m"))
    assert server.options.default_model == "m"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        server.options.default_model = "n"  # type: ignore[misc]


def test_who_makes_options_by_hand_pays_for_no_converter() -> None:
    """Design section 2: cattrs is imported when it is first used."""
    code = (
        "import sys; from responses_stream import ResponsesServerOptions as Options; Options(port=1);"
        "print('cattrs' in sys.modules); print(Options.from_environment({'PORT': '2'}).port, 'cattrs' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "2", "True"]
