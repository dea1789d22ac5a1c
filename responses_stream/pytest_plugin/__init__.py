"""The pytest plugin: `assert_valid_response_stream`, and a recorder of what a test's server sent.

pytest loads this module in every project of a machine where the package is installed. So it imports nothing of the
package until a test asks for it, adds no command line option, and does nothing of its own accord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from responses_stream.pytest_plugin.assertion import assert_valid_response_stream

if TYPE_CHECKING:
    from responses_stream.pytest_plugin.recorder import ResponseStreamRecorder as ResponseStreamRecorder
    from responses_stream.validation.profiles import Profile

__all__ = ["ResponseStreamRecorder", "assert_valid_response_stream"]

MARKER: Final = "valid_response_streams"
"""The name of the marker, and of the ini option."""

_RECORDER: Final = pytest.StashKey["ResponseStreamRecorder"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(
        MARKER,
        "the profile of responses-stream in which the streams that response_stream_recorder recorded have to be valid "
        "at the end of each test; empty asks for nothing",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse a profile that is none before any test has run."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(profile='strict', **settings): the streams that response_stream_recorder recorded have to be valid "
        "at the end of the test; settings are those of responses_stream.validate_events",
    )
    profile = config.getini(MARKER)
    if profile:
        from responses_stream.validation.profiles import PROFILES

        if profile not in PROFILES:
            raise pytest.UsageError(f"{MARKER} = {profile}: there is no such profile; they are {', '.join(PROFILES)}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Judge what was recorded, where somebody asked for it. Last of all, so that the test itself has passed."""
    marker, profile = item.get_closest_marker(MARKER), item.config.getini(MARKER)
    if marker is None and not profile:
        return
    message = _failure(item, marker, profile or "strict")
    if message:
        pytest.fail(message, pytrace=False)


def _failure(item: pytest.Item, marker: pytest.Mark | None, profile: str) -> str:
    """Return what is wrong with the streams of a test; empty where nothing is."""
    settings: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    profile = settings.pop("profile", marker.args[0] if marker is not None and marker.args else profile)
    recorder = item.stash.get(_RECORDER, None)
    if recorder is None or not recorder.streams:
        if marker is None:
            return ""
        return f"it is marked {MARKER}, and response_stream_recorder recorded no event stream"
    try:
        recorder.assert_valid(cast("Profile", profile), **settings)
    except AssertionError as error:
        return str(error)
    return ""


@pytest.fixture
def response_stream_recorder(request: pytest.FixtureRequest) -> Iterator[ResponseStreamRecorder]:
    """A recorder of the event streams that the server of this test sends, see `ResponseStreamRecorder`."""
    from responses_stream.pytest_plugin.recorder import ResponseStreamRecorder

    recorder = ResponseStreamRecorder()
    request.node.stash[_RECORDER] = recorder
    yield recorder
    recorder.close()


@pytest.fixture(name="assert_valid_response_stream")
def _assertion() -> Callable[..., Any]:
    """`responses_stream.pytest_plugin.assert_valid_response_stream`, for tests that would rather not import it."""
    return assert_valid_response_stream


def __getattr__(name: str) -> object:
    if name == "ResponseStreamRecorder":
        from responses_stream.pytest_plugin.recorder import ResponseStreamRecorder

        return ResponseStreamRecorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
