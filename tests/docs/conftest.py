from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def kept_logging() -> Iterator[None]:
    """Litestar sets up the logging of the whole process, and other tests look at that."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = [one for one in root.handlers if one in handlers]
