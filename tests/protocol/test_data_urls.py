"""Data URLs are read as clients write them (H17.31)."""

from __future__ import annotations

import base64
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from responses_stream import InvalidValue, decode_bytes, get_media_type, is_data_url, try_decode_bytes

PROPERTY: Final = settings(deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("data:image/png;base64,aGk=", True),
        ("DATA:,", True),
        ("Data:", True),
        (" data:,", False),
        ("data", False),
        ("https://example.com/data:", False),
        ("", False),
        (None, False),
        (UNSET, False),
    ],
)
def test_a_data_url_is_known_by_its_scheme_in_any_case(value: str | UnsetType | None, is_one: bool) -> None:
    assert is_data_url(value) is is_one


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,aGk=",
        "DATA:image/png;BASE64,aGk=",
        "data:text/plain;charset=utf-8;base64,aGk=",
        "data:text/plain,aGk=",
        "data:,aGk=",
        "data:,a Gk\r\n=",
        "data:,!aG?k=",
        "data:,a\u00e9Gk=",
    ],
)
def test_the_payload_is_base64_with_or_without_the_marker_and_strays_are_passed_over(url: str) -> None:
    assert decode_bytes(url) == b"hi"
    assert try_decode_bytes(url) == b"hi"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.com/a,aGk=", "begin with 'data:'"),
        ("", "begin with 'data:'"),
        ("data:image/png;base64", "without a comma"),
        ("data:,aGk", "not base64"),
        ("data:,a", "not base64"),
    ],
)
def test_what_cannot_be_decoded_is_a_value_error_that_says_why(url: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as error:
        decode_bytes(url)
    assert isinstance(error.value, ValueError)
    assert try_decode_bytes(url) is None


def test_what_is_no_data_url_at_all_has_no_bytes() -> None:
    assert try_decode_bytes(None) is None
    assert try_decode_bytes(UNSET) is None


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        ("data:image/png;base64,aGk=", "image/png"),
        ("DATA:Image/PNG;BASE64,aGk=", "Image/PNG"),
        ("data:text/plain;charset=utf-8;base64,aGk=", "text/plain;charset=utf-8"),
        ("data:text/plain;charset=utf-8,aGk=", "text/plain;charset=utf-8"),
        ("data:text/plain,a;base64,b", "text/plain"),
        ("data:image/png;base64", "image/png"),
        ("data:;base64,aGk=", None),
        ("data:,aGk=", None),
        ("data:image/png", None),
        ("image/png;base64,aGk=", None),
        (None, None),
        (UNSET, None),
    ],
)
def test_the_media_type_is_what_stands_before_the_marker_or_the_comma(
    value: str | UnsetType | None, media_type: str | None
) -> None:
    assert get_media_type(value) == media_type


@PROPERTY
@given(st.binary(max_size=50), st.sampled_from(["image/png", "text/plain;charset=utf-8", ""]), st.booleans())
def test_what_was_written_is_read(data: bytes, media_type: str, marked: bool) -> None:
    url = f"data:{media_type}{';base64' if marked else ''},{base64.b64encode(data).decode()}"
    assert is_data_url(url)
    assert decode_bytes(url) == try_decode_bytes(url) == data
    assert get_media_type(url) == (media_type or None)


@PROPERTY
@given(st.text(max_size=30) | st.text(max_size=30).map("data:{}".format))
def test_no_text_makes_reading_fail_in_another_way(text: str) -> None:
    found = try_decode_bytes(text)
    if found is None:
        with pytest.raises(InvalidValue):
            decode_bytes(text)
    else:
        assert decode_bytes(text) == found
    assert get_media_type(text) is None or text[:5].lower() == "data:"
