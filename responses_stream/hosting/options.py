"""What can be set on a server: every choice and every limit, with a safe default.

The class is all there is to an option. How it is called in the environment, in a file and on a command line is derived
from it by `settings.py`: an attribute names its environment variables where the platform has a name for it (H14.3).
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.hosting.listening import DEFAULT_HOST, DEFAULT_PORT
from responses_stream.hosting.storing import check_store_url, shown
from responses_stream.protocol.ids import RESPONSE_PREFIX

KeepAlive: TypeAlias = Literal["comment", "event", "auto", "off"]
"""What is sent into the silence of a stream (decision 14)."""

OnFailure: TypeAlias = Literal["keep", "drop"]
"""What becomes of the items that were done when a response fails (decision 10)."""

ALL_HISTORY: Final = -1
"""The `default_fetch_history_count` that means all of them (H14.3)."""

_ID_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_HEADER_TEXT: Final = re.compile(r"[ -~]*\Z")
_LAST_PORT: Final = 65535

_Attribute: TypeAlias = "attrs.Attribute[Any]"
_Validator: TypeAlias = Callable[[object, _Attribute, Any], None]


def _store_url(_: object, __: _Attribute, value: str) -> None:
    check_store_url(value)


def _text(_: object, attribute: _Attribute, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidType(attribute.name, "a string", value)


def _not_blank(_: object, attribute: _Attribute, value: str) -> None:
    if not value.strip():
        raise InvalidValue(attribute.name, f"must not be blank, got {value!r}")


def _header_text(_: object, attribute: _Attribute, value: str) -> None:
    if not _HEADER_TEXT.match(value):
        raise InvalidValue(attribute.name, f"goes into a header and may hold printable ASCII only, got {value!r}")


def _id_prefix(_: object, attribute: _Attribute, value: str) -> None:
    if not _ID_PREFIX.match(value):
        raise InvalidValue(attribute.name, f"has to be a letter followed by letters and digits, got {value!r}")


def _flag(_: object, attribute: _Attribute, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidType(attribute.name, "true or false", value)


def _optional(*checks: _Validator) -> _Validator:
    """Return the validator of a value that may be none, and else passes *checks*."""

    def check(instance: object, attribute: _Attribute, value: object) -> None:
        if value is not None:
            for one in checks:
                one(instance, attribute, value)

    return check


def _one_of(choices: object) -> _Validator:
    """Return the validator of a value that is one of a literal type."""
    names: tuple[str, ...] = get_args(choices)

    def check(_: object, attribute: _Attribute, value: object) -> None:
        if not isinstance(value, str):
            raise InvalidType(attribute.name, "a string", value)
        if value not in names:
            raise InvalidValue(attribute.name, f"has to be {', '.join(names[:-1])} or {names[-1]}, got {value!r}")

    return check


def _whole(_: object, attribute: _Attribute, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(attribute.name, "a whole number", value)


def _at_least_one(_: object, attribute: _Attribute, value: int) -> None:
    _whole(_, attribute, value)
    if value < 1:
        raise InvalidValue(attribute.name, f"has to be at least 1, got {value}")


def _not_negative(_: object, attribute: _Attribute, value: int) -> None:
    _whole(_, attribute, value)
    if value < 0:
        raise InvalidValue(attribute.name, f"must not be negative, got {value}")


def _history_count(_: object, attribute: _Attribute, value: int) -> None:
    _whole(_, attribute, value)
    if value < 1 and value != ALL_HISTORY:
        raise InvalidValue(attribute.name, f"has to be at least 1, or {ALL_HISTORY} for all, got {value}")


def _port(_: object, attribute: _Attribute, value: int) -> None:
    _whole(_, attribute, value)
    if not 0 <= value <= _LAST_PORT:
        raise InvalidValue(attribute.name, f"has to be between 0 and {_LAST_PORT}, got {value}")


def _seconds(_: object, attribute: _Attribute, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(attribute.name, "a number of seconds", value)
    if not (math.isfinite(value) and value > 0):
        raise InvalidValue(attribute.name, f"has to be a number of seconds above 0, got {value}")


def _trimmed(value: str | None) -> str | None:
    """Blanks around a text go, and nothing left means none (H14.1). What is no text is for the validator."""
    return value.strip() or None if isinstance(value, str) else value


def _normal_prefix(value: str | None) -> str | None:
    """H1.2: blanks and a trailing slash go, a leading slash comes, and nothing left means none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidType("prefix", "a string", value)
    bare = value.strip(f"{string.whitespace}/")
    return f"/{bare}" if bare else None


def _model_names(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidType("models", "a sequence of strings", value)
    for name in value:
        if not isinstance(name, str):
            raise InvalidType("models", "strings only", name)
        if not name.strip():
            raise InvalidValue("models", f"must not hold a blank name, got {name!r}")
    return tuple(name.strip() for name in value)


@attrs.frozen(kw_only=True)
class ResponsesServerOptions:
    """The options of a `ResponsesServer`.

    Attributes of what is served:
        default_model: the model of a request that names none (H8.12); the first that `GET /v1/models` lists.
        models: further names for `GET /v1/models` (decision 17).
        prefix: where the routes are served instead of the root and ``/v1`` (H1.2, decision 17).
        id_prefix: what the ids of responses begin with (decision 18).
        additional_server_version: a further segment of the header ``x-platform-server`` (H9.11, H14.1).
        agent_session_id: the session of requests that name none (H9.20); without it, one is derived.

    Attributes of streams:
        sse_done_marker: whether a stream ends with ``data: [DONE]`` (decision 2).
        keep_alive: what is sent into silence: ``comment``; ``event``, a data frame; ``auto``, a data frame for clients
            that are known to need one; or ``off`` (decision 14).
        sse_keep_alive_interval_seconds: after how many seconds of silence it is sent, above 0 (H13.5, H14.4); none is
            off.
        open_responses_reasoning: whether reasoning is told with the ``response.reasoning.*`` events of Open Responses
            instead of ``response.reasoning_text.*`` (decision 29, D03).

    Attributes of requests:
        max_body_bytes: the largest request body; more is a 413 (decision 27).
        max_json_depth: how deep a request may be nested; more is a 400 (decision 27).
        max_input_items: how many items the input of a request may have; more is a 400 (decision 27).

    Attributes of WebSockets:
        websocket: whether ``GET /responses`` may become a WebSocket, where the transport has them (W1).
        websocket_seconds: how many seconds one connection may live (W8).

    Attributes of runs:
        max_concurrent_runs: how many responses are made at once; more is a 503 (decision 27).
        max_sync_handlers: how many sync handlers run at once, each in a thread; others wait for a free one.
        max_log_bytes: how many bytes of events one response may have; more fails it (decision 27).
        run_timeout_seconds: how many seconds a handler may take (H20.28); none is no limit.
        cancel_grace_seconds: how many seconds a cancelled handler has to end (H4.11, decision 15).
        shutdown_grace_period_seconds: how many seconds the runs have to end when the server stops (H14.5, decision 28).
        on_failure: whether a failed response keeps the items that were done: ``keep`` or ``drop`` (decision 10).

    Attributes of the store:
        store: where responses are kept: ``memory:``, ``sqlite:///relative/path`` or ``sqlite:////absolute/path``,
            ``redis://host:6379/0`` or ``postgresql://user@host/database``.
        default_fetch_history_count: how many items of history a handler is given, the newest; -1 is all (H14.3,
            decision 25).
        resilient_background: whether a background response whose server dies, or shuts down in the midst of it, is made
            again by the handler of another; otherwise it fails (section 18).
        recovery_attempts: how many times a response is made again, before it fails.
        lease_seconds: after how many seconds without a sign of its server a response counts as orphaned, and fails.
        event_retention_seconds: how many seconds the memory store keeps events after their end (decision 27).
        response_retention_seconds: how many seconds the memory store keeps responses (decision 27).
        max_stored_responses: how many responses the memory store keeps (decision 27).

    Attributes of the transport:
        transport: the name of the transport that `ResponsesServer.run` uses unless it is told another.
        server: the program that speaks HTTP, for a transport that has a choice: ``uvicorn``, ``gunicorn`` ...
        host: the address to listen on.
        port: the port to listen on; 0 is a free one (H14.11).
        unix_socket: the path of a Unix socket to listen on, instead of host and port.
        fd: the number of an inherited listening socket, instead of host and port.
        certfile: a PEM file with the certificate and its chain; with it, TLS is spoken.
        keyfile: a PEM file with the key of the certificate, where that file does not hold it.
        workers: how many processes serve the address; more than one need a store that they can share.
        threads: how many requests a WSGI server answers at once; a stream needs one thread as long as it is open.
        max_connections: how many connections one process has at once; further ones wait.
        access_log: whether each request is a line of the log of the transport.
        max_header_bytes: how large the head of a request may be; more is a 431 (decision 27).
        header_seconds: how many seconds the head of a request may take (decision 27).
        idle_seconds: how many seconds a connection may be idle between requests (decision 27).
        write_stall_seconds: how many seconds a client may leave what is written unread (decision 27).

    Raises:
        InvalidType: a value is of the wrong type.
        InvalidValue: a value is out of range.
    """

    default_model: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    models: tuple[str, ...] = attrs.field(default=(), converter=_model_names)
    prefix: str | None = attrs.field(default=None, converter=_normal_prefix)
    id_prefix: str = attrs.field(default=RESPONSE_PREFIX, validator=[_text, _id_prefix])
    additional_server_version: str | None = attrs.field(
        default=None, converter=_trimmed, validator=_optional(_text, _header_text)
    )
    agent_session_id: str | None = attrs.field(
        default=None,
        converter=_trimmed,
        validator=_optional(_text, _header_text),
        metadata={"env": "FOUNDRY_AGENT_SESSION_ID"},
    )

    sse_done_marker: bool = attrs.field(default=True, validator=_flag)
    keep_alive: KeepAlive = attrs.field(default="comment", validator=_one_of(KeepAlive))
    sse_keep_alive_interval_seconds: float | None = attrs.field(
        default=15.0, validator=_optional(_seconds), metadata={"env": "SSE_KEEPALIVE_INTERVAL"}
    )
    open_responses_reasoning: bool = attrs.field(default=False, validator=_flag)

    max_body_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=_at_least_one)
    max_json_depth: int = attrs.field(default=64, validator=_at_least_one)
    max_input_items: int = attrs.field(default=10_000, validator=_at_least_one)

    websocket: bool = attrs.field(default=True, validator=_flag)
    websocket_seconds: float = attrs.field(default=3600.0, validator=_seconds)

    max_concurrent_runs: int = attrs.field(default=10_000, validator=_at_least_one)
    max_sync_handlers: int = attrs.field(default=256, validator=_at_least_one)
    max_log_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_at_least_one)
    run_timeout_seconds: float | None = attrs.field(default=None, validator=_optional(_seconds))
    cancel_grace_seconds: float = attrs.field(default=10.0, validator=_seconds)
    shutdown_grace_period_seconds: float = attrs.field(
        default=10.0,
        validator=_seconds,
        metadata={"env": ("RESPONSES_SHUTDOWN_GRACE_PERIOD_SECONDS", "AGENTSERVER_GRACEFUL_SHUTDOWN_TIMEOUT_SECONDS")},
    )
    on_failure: OnFailure = attrs.field(default="keep", validator=_one_of(OnFailure))

    store: str | None = attrs.field(
        default=None, repr=shown, converter=_trimmed, validator=_optional(_text, _store_url)
    )
    default_fetch_history_count: int = attrs.field(
        default=100, validator=_history_count, metadata={"env": "DEFAULT_FETCH_HISTORY_ITEM_COUNT"}
    )
    resilient_background: bool = attrs.field(default=False, validator=_flag)
    recovery_attempts: int = attrs.field(default=5, validator=_at_least_one)
    lease_seconds: float = attrs.field(default=15.0, validator=_seconds)
    event_retention_seconds: float = attrs.field(default=600.0, validator=_seconds)
    response_retention_seconds: float = attrs.field(default=86_400.0, validator=_seconds)
    max_stored_responses: int = attrs.field(default=10_000, validator=_at_least_one)

    transport: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    server: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    host: str = attrs.field(default=DEFAULT_HOST, validator=[_text, _not_blank])
    port: int = attrs.field(default=DEFAULT_PORT, validator=_port, metadata={"env": "PORT"})
    unix_socket: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    fd: int | None = attrs.field(default=None, validator=_optional(_not_negative))
    certfile: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    keyfile: str | None = attrs.field(default=None, converter=_trimmed, validator=_optional(_text))
    workers: int = attrs.field(default=1, validator=_at_least_one)
    threads: int = attrs.field(default=40, validator=_at_least_one)
    max_connections: int = attrs.field(default=10_000, validator=_at_least_one)
    access_log: bool = attrs.field(default=False, validator=_flag)
    max_header_bytes: int = attrs.field(default=64 * 1024, validator=_at_least_one)
    header_seconds: float = attrs.field(default=10.0, validator=_seconds)
    idle_seconds: float = attrs.field(default=75.0, validator=_seconds)
    write_stall_seconds: float = attrs.field(default=30.0, validator=_seconds)

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> ResponsesServerOptions:
        """Make the options that an environment says, by default that of the process (H14.9).

        The variable ``RESPONSES_CONFIG`` may name a TOML file with more; see `settings.load_options`.

        Raises:
            BadOption: a value does not fit. The error names the option and the variable.
            BadOptionsFile: the file cannot be used.
        """
        # Who makes options by hand needs neither TOML nor a converter.
        from responses_stream.hosting.settings import load_options

        return load_options(environment=environment)
