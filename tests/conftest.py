from __future__ import annotations

import gc

# Imported here: while it is imported it asks the collector about objects, and sees no frozen ones.
import hypothesis
import pytest

# A test must not depend on how fast the machine is just now.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

# Collecting makes some hundred thousand objects that stay, and a collector that looks at them again and again takes
# half of the time of it; afterwards it would look at them in every test.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each test that is marked `anyio` runs on both."""
    return str(request.param)
