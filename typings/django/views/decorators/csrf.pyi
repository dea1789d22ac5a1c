from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V", bound=Callable[..., object])

def csrf_exempt(view_func: V) -> V: ...
