"""Objects that say themselves are known by what they can do, and say what was set, by its name on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pydantic

from responses_stream.protocol.dumping import Dumps, dumped


class Call(pydantic.BaseModel, extra="allow"):
    is_async: bool = pydantic.Field(default=False, alias="async")
    namespace: str | None = None
    status: str | None = None
    when: datetime | None = None


def test_what_was_set_is_said_and_what_is_not_known_too() -> None:
    call = Call.model_validate({"async": True, "status": None, "acme": {"a": 1}})
    assert isinstance(call, Dumps)
    assert dumped(call) == {"async": True, "status": None, "acme": {"a": 1}}


def test_a_value_that_does_not_fit_is_said_as_it_came() -> None:
    assert dumped(Call.model_construct(status=7)) == {"status": 7}


def test_what_is_said_is_json() -> None:
    assert dumped(Call(when=datetime(2026, 1, 1, tzinfo=UTC))) == {"when": "2026-01-01T00:00:00Z"}


def test_other_objects_do_not() -> None:
    assert not isinstance({}, Dumps)
    assert not isinstance("text", Dumps)
