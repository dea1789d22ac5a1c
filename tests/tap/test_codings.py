"""Content codings: undone in any cuts, with bounded memory, and honest about what they are not."""

from __future__ import annotations

import gzip
import zlib

import pytest

from responses_stream.tap.codings import PIECE, decoder_of

TEXT = b"".join(b"data: %d\n\n" % number for number in range(5000))


def bare(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (None, TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("X-GZIP ", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", bare(TEXT)),
        ("gzip", b""),
        ("deflate", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_coding_is_undone_however_it_is_cut(coding: str | None, data: bytes, size: int) -> None:
    decoder = decoder_of(coding)
    assert decoder is not None
    decoded = [piece for start in range(0, len(data), size) for piece in decoder.feed(data[start : start + size])]
    assert b"".join(decoded) == (TEXT if data else b"")
    assert decoder.is_complete


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_was_flushed_is_given_at_once(coding: str) -> None:
    compressor = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    decoder = decoder_of(coding)
    assert decoder is not None
    for frame in (b"data: 1\n\n", b"data: 2\n\n"):
        sent = compressor.compress(frame) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decoder.feed(sent)) == frame
        assert not decoder.is_complete


def test_a_bomb_comes_in_pieces() -> None:
    decoder = decoder_of("gzip")
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(gzip.compress(bytes(10_000_000)))]
    assert (sum(sizes), max(sizes)) == (10_000_000, PIECE)


@pytest.mark.parametrize(
    ("coding", "data"),
    [("gzip", b"no gzip"), ("deflate", b"\xff\xff\xff"), ("gzip", gzip.compress(b"", mtime=0) + b"x")],
)
def test_what_is_not_the_coding_is_an_error(coding: str, data: bytes) -> None:
    decoder = decoder_of(coding)
    assert decoder is not None
    with pytest.raises(ValueError, match="Error -"):
        list(decoder.feed(data * 3))


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "nonsense"])
def test_other_codings_are_unknown(coding: str) -> None:
    assert decoder_of(coding) is None
