"""Who may import whom (design.md section 2): an upper floor may lean on a lower one, never the reverse."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "responses_stream"
TRANSPORTS = ROOT / "transports" / "responses_transports"

# From the ground up. What stands on one line may not import each other, but for itself.
FLOORS = [
    {"_version", "errors"},
    {"protocol"},
    {"sse", "_frames", "lifecycle"},
    {"builders", "accumulator", "order", "validation"},
    {"guarding"},
    {"stores", "agents"},
    {"excerpts"},
    {"hosting"},
    {"tap", "checking", "pytest_plugin"},
    {"cli", "__main__"},
]
SAME_FLOOR = {
    ("agents", "stores"),
    ("sse", "_frames"),
    ("order", "lifecycle"),
    ("cli", "__main__"),
    ("__main__", "cli"),
}
CORE = {
    "_version",
    "errors",
    "protocol",
    "sse",
    "_frames",
    "lifecycle",
    "builders",
    "accumulator",
    "order",
    "validation",
    "guarding",
}
# The core does no I/O, starts no thread, and knows no event loop.
FORBIDDEN_IN_CORE = {
    "anyio", "asyncio", "concurrent", "h11", "http", "io", "multiprocessing", "pathlib", "queue", "select", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "trio", "urllib",
}  # fmt: skip
# What is named like I/O and is none, and the one module that opens a file when it is given the path of one.
HARMLESS = {"io.StringIO", "urllib.parse"}
OPENS_FILES = "validation/whole.py"


def floor_of(part: str) -> int:
    return next(at for at, floor in enumerate(FLOORS) if part in floor)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path, for_types: bool = True) -> Iterator[str]:
    """Give what a module imports; without *for_types*, not what it imports for type checkers only."""
    tree = ast.parse(path.read_text())
    if not for_types:
        tree.body = [node for node in tree.body if not _is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            if node.module == "io":
                yield from (f"io.{name.name}" for name in node.names)
                continue
            yield str(node.module)
            if node.module == "responses_stream":
                yield from (f"responses_stream.{name.name}" for name in node.names)


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_floor_leans_on_one_above_it(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # the front door shows every floor, lazily; test_front_door.py holds it to that
    here = part_of(path)
    for name in imported(path):
        if not name.startswith("responses_stream."):
            continue
        there = name.split(".")[1]
        if there == here:
            continue
        if floor_of(there) == floor_of(here):
            assert (here, there) in SAME_FLOOR, f"{path} imports {name}, which stands on the same floor"
        assert floor_of(there) <= floor_of(here), f"{path} imports {name}, which stands on a floor above it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_does_no_io_and_knows_no_loop(path: Path) -> None:
    if path == PACKAGE / "__init__.py" or part_of(path) not in CORE:
        return
    if path == PACKAGE / OPENS_FILES:
        return
    used = {name.split(".")[0] for name in imported(path) if name not in HARMLESS}
    assert not used & FORBIDDEN_IN_CORE, f"{path} is of the core and imports {used & FORBIDDEN_IN_CORE}"


def test_hosting_knows_no_socket_and_no_server() -> None:
    """It may say in a type that a socket is handed through."""
    for path in sorted((PACKAGE / "hosting").rglob("*.py")):
        used = {name.split(".")[0] for name in imported(path, for_types=False)}
        assert not used & {"h11", "socket", "ssl", "http", "uvicorn", "responses_transports"}, path


def test_the_package_never_imports_its_transports() -> None:
    for path in modules():
        assert "responses_transports" not in {name.split(".")[0] for name in imported(path)}, path


def test_transports_lean_on_hosting_and_the_errors_only() -> None:
    allowed = {"responses_stream.hosting", "responses_stream.errors"}
    for path in sorted(TRANSPORTS.rglob("*.py")):
        for name in imported(path):
            if name.startswith("responses_stream"):
                assert ".".join(name.split(".")[:2]) in allowed | {"responses_stream"}, f"{path} imports {name}"


def test_every_part_of_the_package_has_its_floor() -> None:
    parts = {part_of(path) for path in modules()} - {"__init__"}
    assert parts <= set().union(*FLOORS)


def test_the_adapters_stay_thin() -> None:
    """Issue 5: all together less than a fifth of what they stand on. The suite for transports is no adapter."""
    adapters = [path for path in TRANSPORTS.rglob("*.py") if not path.name.startswith("conform")]
    own, below = (sum(len(path.read_text().splitlines()) for path in paths) for paths in (adapters, modules()))
    assert 5 * own < below
