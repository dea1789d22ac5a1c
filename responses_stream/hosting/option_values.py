"""What a text or a value of TOML means for an option of a certain type: one cattrs converter.

The environment and a command line know only texts, TOML knows types of its own; both are read alike, so that
``models = ["a", "b"]`` and ``RESPONSES_MODELS=a,b`` say the same. Of a number that may be none, blank is none, and of
seconds 0 is as well (H14.12). Whether a value is in range is not asked here: the options themselves know.
"""

from __future__ import annotations

import typing
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import cattrs

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def structure(value: object, kind: object) -> object:
    """Return what *value* means where the type *kind* is wanted.

    Raises:
        ValueError: it means nothing there. The text of the error is what is expected.
    """
    return _converter().structure(value, typing.cast("type[object]", kind))


@cache
def _converter() -> cattrs.Converter:
    # The options of most programs are made by hand, and cost no converter (design.md section 2).
    import cattrs

    converter = cattrs.Converter()
    converter.register_structure_hook(str, lambda value, _: _string(value))
    converter.register_structure_hook(bool, lambda value, _: _boolean(value))
    converter.register_structure_hook(int, lambda value, _: _whole_number(value))
    converter.register_structure_hook(float, lambda value, _: _number(value))
    converter.register_structure_hook_func(lambda kind: kind == float | None, lambda value, _: _number_or_none(value))
    converter.register_structure_hook_func(lambda kind: kind == int | None, lambda value, _: _whole_or_none(value))
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], lambda value, _: _strings(value))
    converter.register_structure_hook_func(_is_literal, lambda value, kind: _choice(value, typing.get_args(kind)))
    return converter


def _is_literal(kind: object) -> bool:
    return typing.get_origin(kind) is Literal


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def _whole_number(value: object) -> int:
    try:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ValueError("a whole number")


def _number(value: object) -> float:
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a number")


def _number_or_none(value: object) -> float | None:
    if isinstance(value, str) and not value.strip():
        return None
    return _number(value) or None


def _whole_or_none(value: object) -> int | None:
    if isinstance(value, str) and not value.strip():
        return None
    return _whole_number(value)  # 0 is a number of its own: a file descriptor


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    if not isinstance(value, list):
        raise ValueError("strings")
    return tuple(map(_string, value))


def _choice(value: object, choices: tuple[str, ...]) -> str:
    word = _string(value).strip().lower()
    if word not in choices:
        raise ValueError(f"{', '.join(choices[:-1])} or {choices[-1]}")
    return word
