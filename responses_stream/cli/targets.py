"""What ``module:name`` and ``path/file.py:name`` mean to the commands that are given somebody's server or handler."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from responses_stream.cli.failure import CommandError

DEFAULT_ATTRIBUTE: Final = "server"


def load_target(target: str, defaults: Sequence[str] = (DEFAULT_ATTRIBUTE,)) -> tuple[str, object]:
    """Return what *target* names, and its full name; without a name of its own, the first of *defaults* that is there.

    Raises:
        CommandError: there is no such file, module or attribute.
        Exception: whatever importing it raises.
    """
    place, attribute = _split(target)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    names = [attribute] if attribute else list(defaults)
    for name in names:
        if hasattr(module, name):
            return f"{place}:{name}", getattr(module, name)
    wanted = " and no ".join(repr(name) for name in names)
    raise CommandError(f"{place} has no {wanted}; say which one it is with {place}:NAME")


def _split(target: str) -> tuple[str, str]:
    # A path may hold a colon of its own, as on Windows; what ends with .py is all path.
    place, colon, attribute = ("", "", "") if target.endswith(".py") else target.rpartition(":")
    return (place, attribute) if colon else (target, "")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    # As with `python path/file.py`, what lies beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem if path.stem not in sys.modules else f"served_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # What the module itself misses is told as Python tells it.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise CommandError(f"there is no module {name!r}; a file is named by its path, with .py") from None
