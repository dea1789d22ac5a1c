"""Options are checked when they are set."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, ResponsesServer, ResponsesServerOptions


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"id_prefix": "a_b"}, InvalidValue),
        ({"id_prefix": ""}, InvalidValue),
        ({"id_prefix": 3}, InvalidType),
        ({"default_model": 3}, InvalidType),
        ({"prefix": 3}, InvalidType),
        ({"transport": 3}, InvalidType),
        ({"max_body_bytes": 0}, InvalidValue),
        ({"max_json_depth": -1}, InvalidValue),
        ({"max_sync_handlers": 1.5}, InvalidType),
        ({"max_sync_handlers": True}, InvalidType),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{next(iter(options))}: "):
        ResponsesServerOptions(**options)


def test_options_do_not_change() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(default_model="m"))
    assert server.options.default_model == "m"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        server.options.default_model = "n"  # type: ignore[misc]
