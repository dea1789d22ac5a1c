"""Every wire type, and the two functions that read and write them, can be had from `responses_stream.protocol`."""

from __future__ import annotations

import msgspec
import pytest

from responses_stream import protocol
from responses_stream.protocol import (
    OutputItem,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
    Wire,
    decode,
    encode,
    new_response_id,
)


def test_decode_and_encode_are_there() -> None:
    line = b'{"type":"response.audio.delta","sequence_number":4,"delta":"AAAA"}'
    assert encode(decode(line)) == line


def test_unions_types_and_functions_are_there() -> None:
    assert issubclass(ResponseTextDeltaEvent, Wire)
    assert OutputItem is not None
    assert ResponseStreamEvent is not None
    assert new_response_id().startswith("resp_")


def test_what_modules_only_import_is_not() -> None:
    for name in ("Any", "UNSET", "msgspec", "Literal", "TypeAlias"):
        assert name not in dir(protocol)
        with pytest.raises(AttributeError, match=name):
            getattr(protocol, name)
    assert msgspec is not None


def test_every_name_leads_to_one_thing() -> None:
    names = dir(protocol)
    assert len(names) == len(set(names))
    assert {"decode", "decode_event", "decode_as", "decode_union", "encode", "to_builtins"} <= set(names)
    for name in names:
        assert getattr(protocol, name) is not None
