"""A response to several places, and what the report says of each (H21.25, H21.26, H21.38)."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from responses_stream import ResponseObject
from responses_stream.agents.delivery import DeliveryReport, NotTaken, Sink, deliver

pytestmark = pytest.mark.anyio

RESPONSE = ResponseObject(id="resp_1", status="completed")
TOLD = DeliveryReport(include_originating=True)


def sinks(told: list[str]) -> dict[str, Sink]:
    async def works(response: ResponseObject) -> None:
        told.append(response.id)

    async def refuses(_response: ResponseObject) -> None:
        raise NotTaken("it has no text")

    async def breaks(_response: ResponseObject) -> None:
        raise ConnectionError("the secret host is down")

    async def hangs(_response: ResponseObject) -> None:
        await anyio.sleep_forever()

    return {"works": works, "also": works, "refuses": refuses, "breaks": breaks, "hangs": hangs}


async def delivered(targets: object, **options: Any) -> tuple[DeliveryReport, int]:
    told: list[str] = []
    report = await deliver(RESPONSE, targets, sinks(told), seconds=0, **options)
    return report, len(told)


@pytest.mark.parametrize("targets", [None, "originating", ["originating"]])
async def test_by_default_the_client_that_has_asked_is_told(targets: object) -> None:
    assert await delivered(targets, include_originating=False) == (TOLD, 0)


async def test_none_is_nobody() -> None:
    assert await delivered("none") == (DeliveryReport(include_originating=False), 0)


async def test_others_by_name() -> None:
    assert await delivered("works", include_originating=False) == (DeliveryReport(False, ("works",)), 1)
    assert await delivered(["works", "also", "works"]) == (DeliveryReport(True, ("works", "also")), 2)
    assert await delivered(["none", "works"]) == (DeliveryReport(False, ("works",)), 1)
    assert await delivered(["originating", "works"], include_originating=False) == (DeliveryReport(True, ("works",)), 1)


async def test_skipped_is_told_from_failed_and_neither_stops_the_others(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        report, told = await delivered("all", include_originating=False)
    assert report == DeliveryReport(False, ("works", "also"), ("refuses",), ("breaks", "hangs"))
    assert told == 2
    assert "secret" not in repr(report)
    assert [record.levelname for record in caplog.records].count("ERROR") == 2


async def test_an_outage_is_not_made_up_for_somewhere_else() -> None:
    assert await delivered("breaks", include_originating=False) == (DeliveryReport(False, failed=("breaks",)), 0)


@pytest.mark.parametrize("targets", [3, [], {}, [3], [""], [None, "works"]])
async def test_what_is_malformed_is_logged_and_the_client_is_told(
    targets: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert await delivered(targets, include_originating=False) == (TOLD, 0)
    assert "malformed" in caplog.text


async def test_an_unknown_name_is_skipped_and_the_client_is_told(caplog: pytest.LogCaptureFixture) -> None:
    report = DeliveryReport(True, pushed=("works",), skipped=("nowhere",))
    assert await delivered(["nowhere", "works"], include_originating=False) == (report, 1)
    assert "no sink" in caplog.text
