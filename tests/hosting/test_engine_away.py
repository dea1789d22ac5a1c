"""What is asked of a server whose engine is away is answered with `storage_error`, whatever it is (docs/stores.md).

What becomes of a response that is being made then is in `test_engine_trouble`.
"""

from __future__ import annotations

import pytest

from responses_stream import ResponsesServerOptions
from tests.stores.test_trouble import eventually, place

from .staging import Stage, id_of
from .test_storage_failures import check_not_told, check_storage_error

pytestmark = pytest.mark.anyio

ID = id_of("a")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("engine", ["redis", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_every_endpoint_says_that_it_is_the_store(engine: str) -> None:
    """H20.16, H20.17; before it is known that it is away, and when it is back, all is well."""
    async with place(engine) as here:
        stage = Stage(options=ResponsesServerOptions(lease_seconds=600), store=here.store)  # type: ignore[arg-type]  # any store will do
        async with stage.server.lifespan():
            assert (await stage.post(response_id=ID, background=True, stream=True)).status == 200
            here.hurry()
            here.proxy.refuse()
            for query in ("", "stream=true", "stream=true&starting_after=2"):
                check_not_told(await stage.get(ID, query))
            for ask in (stage.input_items, stage.cancel, stage.delete):
                check_not_told(await ask(ID))
            check_not_told(await stage.post(previous_response_id=ID))
            check_not_told(await stage.post(conversation="conv_1", store=False))
            check_not_told(await stage.post({"idempotency-key": "k"}))
            check_not_told(await stage.post(response_id=id_of("b")))
            check_storage_error(await stage.post())
            here.proxy.accept()

            async def is_back() -> bool:
                return (await stage.get(ID)).status == 200

            await eventually(is_back)
            assert (await stage.post({"idempotency-key": "k"}, response_id=id_of("b"))).status == 200
            assert (await stage.delete(ID)).status == 200


@pytest.mark.parametrize("engine", ["redis", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_a_server_that_cannot_begin_says_so_too(engine: str) -> None:
    """One that has no moment to begin at asks the store with its first request."""
    async with place(engine) as here:
        stage = Stage(store=here.store)  # type: ignore[arg-type]  # any store will do
        here.hurry()
        here.proxy.refuse()
        check_not_told(await stage.post())
        check_not_told(await stage.get(ID))
        here.proxy.accept()
        await stage.server.aclose()
