"""Cutting JSON text into values: whatever the layout and wherever the bytes are cut, the same values come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.errors import InvalidValue, OutOfOrder
from responses_stream.validation.documents import Document, DocumentDecoder, DocumentError, DocumentTooLarge

Found = Document | DocumentError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.text('{}[]",\\\n\r'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3)
WRITERS: list[Callable[[Any], str]] = [
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    lambda value: json.dumps(value, indent=2),
    lambda value: json.dumps(value, indent=0),
    lambda value: json.dumps(value, indent="\t").replace("\n", "\r\n"),
]
SPACES = st.text(" \t\r\n", max_size=3)


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """A text in one of the layouts, and the values in it."""
    values = draw(st.lists(OBJECTS | VALUES, max_size=5))
    written = [draw(st.sampled_from(WRITERS))(value) for value in values]
    begin, end = draw(SPACES), draw(SPACES)
    # Surrogates have no UTF-8; json.dumps escapes them, unless it is told not to.
    if draw(st.booleans()):
        text = f"{begin}[{begin}" + f"{end},{begin}".join(written) + f"{end}]{end}"
    else:
        # An array that comes first would be the list of all.
        while values and isinstance(values[0], list):
            del values[0], written[0]
        gap = draw(st.sampled_from(["\n", "\r\n", "\n\n", " ", "\t\n"]))
        text = begin + gap.join(written) + gap
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return mark + text.encode("utf-8", "replace"), json.loads(f"[{','.join(written)}]".encode("utf-8", "replace"))


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """*data* in pieces, empty ones too."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


def taken(decoder: DocumentDecoder) -> Iterator[Found]:
    """What comes out now."""
    while True:
        try:
            yield next(decoder)
        except DocumentError as error:
            yield error
        except StopIteration:
            return


def read(decoder: DocumentDecoder, chunks: Iterable[bytes]) -> Iterator[Found]:
    """Everything that comes out: values, errors, and at last the rest."""
    for chunk in chunks:
        decoder.feed(chunk)
        yield from taken(decoder)
    rest = decoder.close()
    yield from taken(decoder)
    if rest is not None:
        yield rest


def seen(found: Iterable[Found]) -> list[tuple[object, int, int]]:
    return [(one.data if isinstance(one, Document) else str(one), one.offset, one.line) for one in found]


def whole(text: bytes, max_bytes: int = 1 << 20) -> list[tuple[object, int, int]]:
    """What comes out of *text* in one piece, which is what comes out of it byte by byte."""
    found = seen(read(DocumentDecoder(max_bytes=max_bytes), [text]))
    assert seen(read(DocumentDecoder(max_bytes=max_bytes), [bytes((byte,)) for byte in text])) == found
    return found


@given(st.data(), texts())
def test_the_values_come_out_of_every_layout_however_it_is_cut(
    data: st.DataObject, text: tuple[bytes, list[Any]]
) -> None:
    written, values = text
    found = list(read(DocumentDecoder(), data.draw(cut(written))))
    documents = [one for one in found if isinstance(one, Document)]
    assert documents == found
    assert [json.loads(one.data) for one in documents] == values
    for one in documents:
        assert written[one.offset : one.offset + len(one.data)] == one.data
        assert one.line == written.count(b"\n", 0, one.offset) + 1


ROUGH = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\n", b"\r\n", b" ", b"1", b"nul", b"true", b"x",
                     b'{"a":1}', b'{"a":{}}', b'"a"', b"\xef\xbb\xbf", b"\xff", b"\0"]),
    max_size=30,
).map(b"".join)  # fmt: skip


@given(st.data(), ROUGH | st.binary(), st.integers(1, 12) | st.just(1000))
def test_where_any_bytes_are_cut_changes_nothing(data: st.DataObject, text: bytes, limit: int) -> None:
    found = seen(read(DocumentDecoder(max_bytes=limit), [text]))
    assert seen(read(DocumentDecoder(max_bytes=limit), data.draw(cut(text)))) == found
    assert all(0 <= offset < len(text) and line == text.count(b"\n", 0, offset) + 1 for _, offset, line in found)


def test_lines_values_side_by_side_and_a_list() -> None:
    assert whole(b'{"a":1}\n{"b":{}} 2 "x"\r\n') == [
        (b'{"a":1}', 0, 1),
        (b'{"b":{}}', 8, 2),
        (b"2", 17, 2),
        (b'"x"', 19, 2),
    ]
    assert whole(b'{}{"a":[]}[1]"x"') == [(b"{}", 0, 1), (b'{"a":[]}', 2, 1), (b"[1]", 10, 1), (b'"x"', 13, 1)]
    assert whole(b'[\n{"a":1},\n[2]\n]\n[3]') == [(b'{"a":1}', 2, 2), (b"[2]", 11, 3), (b"3", 18, 5)]
    assert whole(b"{}\n[DONE]\n") == [(b"{}", 0, 1), (b"[DONE]", 3, 2)]
    assert whole(b" \n\r\n") == whole(b"") == whole(b"\xef\xbb\xbf") == []


def test_what_is_in_a_string_ends_no_value() -> None:
    for line in (b'{"a":"}"}', b'{"a":"{"}', rb'{"a":"\"}{"}', rb'{"a":"\\"}', rb'{"}\\\"{":{"b":"]"}}'):
        assert whole(line + b"\n" + line) == [(line, 0, 1), (line, len(line) + 1, 2)]


@pytest.mark.parametrize(
    ("text", "message", "offset", "line"),
    [
        (b"{}\nhello {}\n{}", "no JSON value begins with b'h' (at byte 3)", 3, 2),
        (b"{}\nnope {}\n{}", "b'nope' is no JSON value (at byte 3)", 3, 2),
        (b"{}\n}{}\n{}", "no JSON value begins with b'}' (at byte 3)", 3, 2),
        (b"{} ]\n{}", "no JSON value begins with b']' (at byte 3)", 3, 1),
        (b'{}\n: "x"\n{}', "no JSON value begins with b':' (at byte 3)", 3, 2),
    ],
)
def test_what_is_no_value_is_told_once_and_the_next_line_is_read(
    text: bytes, message: str, offset: int, line: int
) -> None:
    first, error, last = whole(text)
    assert error == (message, offset, line)
    assert (first, last) == ((b"{}", 0, 1), (b"{}", len(text) - 2, text.count(b"\n") + 1))


@pytest.mark.parametrize("rest", [b'{"a":', b'{"a":{}', b'"a', b"[1", b'{"a":"\\'])
def test_the_rest_of_a_value_is_handed_out_at_the_end(rest: bytes) -> None:
    decoder = DocumentDecoder()
    assert [one.data for one in decoder.feed(b"{}\n" + rest)] == ([b"{}"])
    assert decoder.close() == Document(rest, 3, 2)
    assert decoder.close() == Document(rest, 3, 2)


def test_a_scalar_is_whole_when_the_text_ends() -> None:
    decoder = DocumentDecoder().feed(b"12")
    assert list(decoder) == []
    assert decoder.close() is None
    assert list(decoder) == [Document(b"12", 0, 1)]


@pytest.mark.parametrize("cut_off", [b'{"a":"x', b'{"a":"\\', b'{"a":1', b'{"a":{"c":[]}', b'{"a"', b'{"a": ["b"'])
def test_a_value_that_was_cut_off_does_not_take_the_next_with_it(cut_off: bytes) -> None:
    (data, offset, line), second = whole(cut_off + b"\n" + b'{"b":2}\n')
    assert isinstance(data, bytes)
    assert (data.rstrip(), offset, line) == (cut_off, 0, 1)
    assert second == (b'{"b":2}', len(cut_off) + 1, 2)


def test_a_value_that_is_too_large_is_told_once_and_the_next_is_read() -> None:
    for large in (
        b'{"a":"12345"}',
        b'{\n"a":{"b":\n1}}',
        b"[1,2,3,4,5,6]",
        b"12345678901",
        b'"1234567890"',
        b'{"a":"12345',
    ):
        found = whole(b"{}\n" + large + b"\n{}", max_bytes=10)
        assert found[0] == (b"{}", 0, 1)
        assert found[1] == ("the JSON value has more than 10 bytes (at byte 3)", 3, 2)
        assert [one[0] for one in found[2:]] == [b"{}"]
        decoder = DocumentDecoder(max_bytes=10).feed(b"{}" + large + b" ")
        next(decoder)
        with pytest.raises(DocumentTooLarge) as told:
            next(decoder)
        assert (told.value.limit, told.value.offset, told.value.line) == (10, 2, 1)


def test_a_value_that_is_as_large_as_it_may_be_is_read() -> None:
    text = b'{"a":"1"}\n'
    assert whole(text, max_bytes=9) == [(text[:-1], 0, 1)]
    assert whole(text, max_bytes=8) == [("the JSON value has more than 8 bytes (at byte 0)", 0, 1)]


@pytest.mark.parametrize("piece", [b'{"a":', b'{"a":"b', b'x"', b" ", b"1", b"junk", b"[", b"\\"])
def test_no_more_is_kept_than_one_value_may_have(piece: bytes) -> None:
    decoder = DocumentDecoder(max_bytes=1000)
    for _ in range(1000):
        decoder.feed(piece * 10)
        list(taken(decoder))
        assert decoder.buffered <= 1000


def test_deep_values_are_cut_without_recursion() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert [one.data for one in DocumentDecoder().feed(deep)] == [deep]


def test_it_knows_whether_the_list_is_still_open() -> None:
    decoder = DocumentDecoder().feed(b"[{},{}")
    assert len(list(decoder)) == 2
    assert decoder.in_list
    assert list(decoder.feed(b"]")) == []
    assert not decoder.in_list


def test_it_is_used_as_the_decoder_of_frames_is() -> None:
    decoder = DocumentDecoder()
    with pytest.raises(InvalidValue, match="max_bytes"):
        DocumentDecoder(max_bytes=0)
    decoder.feed(b"{}\nx\n{}")
    decoder.close()
    assert next(decoder) == Document(b"{}", 0, 1)
    with pytest.raises(DocumentError):
        next(decoder)
    assert list(decoder) == [Document(b"{}", 5, 3)]
    with pytest.raises(OutOfOrder):
        decoder.feed(b"{}")
