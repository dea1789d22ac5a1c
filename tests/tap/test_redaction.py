"""What holds a credential, and that it is found again wherever it turns up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from responses_stream.tap.redaction import REDACTED, Mask, is_secret, redact_headers, redact_members, redact_parameters

from .upstreams import EVENT_STREAM, Asked, chunk, chunked, frames, posted, tapped

SECRET = "sk-s3cret/value"


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "proxy-authorization", "api-key", "x-api-key", "cookie", "set-cookie", "api_key", "apiKey",
        "key", "token", "access_token", "sig", "x-goog-api-key", "ocp-apim-subscription-key", "x-amz-security-token",
        "code", "X-Amz-Signature", "x-functions-key", "x-auth-token", "client_secret", "cf-access-jwt-assertion",
    ],
)  # fmt: skip
def test_names_of_credentials(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "content-type", "x-ratelimit-remaining-tokens", "max_output_tokens", "idempotency-key", "prompt_cache_key",
        "x-request-id", "stream", "starting_after", "author", "sec-websocket-key", "www-authenticate", "status-code",
        "", "-",
    ],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)


def test_headers_and_the_parameters_in_them() -> None:
    headers = (("authorization", "Bearer x"), ("location", "/a?sig=x&b=1"), ("accept", "a/b; q=1"))
    assert redact_headers(headers) == [
        ("authorization", REDACTED),
        ("location", f"/a?sig={REDACTED}&b=1"),
        ("accept", "a/b; q=1"),
    ]


def test_parameters_in_text() -> None:
    assert redact_parameters("GET /?a=1&api%5Fkey=x;token=y#z and ?key=") == (
        f"GET /?a=1&api%5Fkey={REDACTED};token={REDACTED}#z and ?key="
    )


def test_members_of_a_request() -> None:
    tool = {"type": "mcp", "authorization": "x", "headers": {"X-Any": "x"}, "require_approval": None}
    schema = {"properties": {"password": {"type": "string"}, "token": {"type": "string"}}}
    filters = {"type": "eq", "key": "region", "value": "eu"}
    request = {"tools": [tool, {"parameters": schema}, {"filters": filters}], "prompt_cache_key": "k"}
    hidden = {**tool, "authorization": REDACTED, "headers": {"X-Any": REDACTED}}
    assert redact_members(request) == {**request, "tools": [hidden, {"parameters": schema}, {"filters": filters}]}


@pytest.mark.parametrize(
    "mask",
    [
        Mask((("authorization", f"Bearer {SECRET}"),)),
        Mask((("x-api-key", SECRET),)),
        Mask((("cookie", f"a=1; session={SECRET}"),)),
        Mask((("set-cookie", f'session="{SECRET}"; Path=/'),)),
        Mask((), "a=1&api_key=sk-s3cret%2Fvalue"),
        Mask((), body={"tools": [{"type": "mcp", "authorization": SECRET}]}),
        Mask((), body={"tools": [{"headers": {"Authorization": f"Bearer {SECRET}", "Accept": "text/html"}}]}),
    ],
)
def test_a_credential_is_found_wherever_it_turns_up(mask: Mask) -> None:
    assert mask.text(f"no such key: {SECRET}, text/html") == f"no such key: {REDACTED}, text/html"
    assert mask.value({"a": [SECRET, 1, None], "b": (SECRET,)}) == {"a": [REDACTED, 1, None], "b": [REDACTED]}
    body = b'{"text/html": "%s", "b": "sk-s3cret\\/value"}' % SECRET.encode() * 3
    hidden = b'{"text/html": "***************", "b": "****************"}' * 3
    for size in range(1, 40):
        stream = mask.stream()
        pieces = [stream.feed(body[start : start + size]) for start in range(0, len(body), size)]
        assert b"".join(pieces) + stream.finish() == hidden


def test_what_is_short_is_not_looked_for() -> None:
    mask = Mask((("x-api-key", "test"),))
    assert mask.text("a test") == "a test"
    assert mask.stream().feed(b"a test") == b"a test"


@pytest.mark.anyio
async def test_no_credential_is_told_or_written(tmp_path: Path) -> None:
    echo = f': you said {SECRET}\n\ndata: {{"type": "{SECRET}"}}\n\n'.encode()
    seen: list[bytes] = []

    async def answer(asked: Asked) -> None:
        seen.extend([*asked.line, *(value for _, value in asked.headers), await asked.body()])
        head = EVENT_STREAM[:-2] + b"set-cookie: id=%s; Path=/\r\nlocation: /?sig=%s\r\n\r\n" % ((SECRET.encode(),) * 2)
        await asked.say(head, chunk(echo[:20]), chunked([echo[20:], *frames()]))

    tool = {"type": "mcp", "authorization": "mcp-credential", "headers": {"X": "other-credential"}}
    body = {"stream": True, "tools": [tool]}
    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(
            posted(
                json.dumps(body).encode(),
                *(b"%s: %s" % (name, SECRET.encode()) for name in (b"Api-Key", b"X-Api-Key", b"Cookie")),
                b"Authorization: Bearer " + SECRET.encode(),
            ).replace(b"/v1/responses", b"/v1/responses?api_key=%s&token=t0ken&plain=shown" % SECRET.encode())
        )
        got = await wire.answer("POST")
        assert got.body == echo + b"".join(frames())
        assert got.headers["location"] == f"/?sig={SECRET}"
        line = await tap.told.line(" 200: ")
    assert f"?api_key={REDACTED}&token={REDACTED}&plain=shown" in line
    # It was forwarded, and it went back.
    assert b"".join(seen).count(SECRET.encode()) == 5
    assert b"mcp-credential" in seen[-1]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for text in (b"\n".join(line.encode() for line in tap.told.lines), written):
        for secret in (SECRET.encode(), b"s3cret", b"mcp-credential", b"other-credential", b"t0ken"):
            assert secret not in text
    assert len((tmp_path / "00001" / "body.sse").read_bytes()) == len(got.body)
