"""The transport of docs/writing-a-transport.md, held to what every transport does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio.from_thread
import pytest

from docs.examples import aiohttp_transport
from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_transports.conformance import TransportConformance

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "writing-a-transport.md"


class TestAiohttpTransport(TransportConformance):
    @contextmanager
    def serving(self, engine: Engine) -> Iterator[tuple[str, int]]:
        with (
            anyio.from_thread.start_blocking_portal() as portal,
            portal.wrap_async_context_manager(aiohttp_transport.serving(engine, Listen(port=0))) as port,
        ):
            yield "127.0.0.1", port

    @pytest.mark.xfail(reason="aiohttp writes the values of headers as UTF-8", strict=True)
    def test_a_reply_goes_out_as_it_is(self) -> None:
        super().test_a_reply_goes_out_as_it_is()


def test_the_page_shows_the_transport_and_its_test() -> None:
    page = PAGE.read_text()
    assert f"```python\n{Path(aiohttp_transport.__file__).read_text()}```\n" in page
    own = Path(__file__).read_text()
    test = own[own.index("class TestAiohttpTransport") : own.index("\n    @pytest")]
    assert f"{test}```\n" in page
