from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V", bound=Callable[..., object])

def require_POST(func: V) -> V: ...  # noqa: N802
