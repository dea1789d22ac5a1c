"""How the tables of the documents name members, and how to find those in our types.

A name is written as there: ``results[].score`` is a member of each element, ``action<search>.query`` one of the
alternative whose `type` is `search`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from responses_stream.protocol.base import Wire
from responses_stream.protocol.plans import Branches, plan_of

_EXAMPLES: Final = Path(__file__).parent / "examples"
_STEP: Final = re.compile(r"(\w+)(\[\])?(?:<(\w+)>)?")


def examples(name: str) -> list[Any]:
    """Return the JSON examples of a file, as plain data."""
    lines = (_EXAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def canonical(data: Any) -> str:
    """Return JSON that is the same for the same JSON, and tells 1 from 1.0."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False)


def undeclared(known: Mapping[str, type[Wire]], table: Mapping[str, str]) -> set[str]:
    """Return what *table* names and our types do not: `type` for a type, `type.member` for a member."""
    missing = {kind for kind in table if kind not in known}
    return missing | {
        f"{kind}.{name}"
        for kind, names in table.items()
        if kind in known
        for name in names.split()
        if _find([known[kind]], name) == "missing"
    }


def opaque(known: Mapping[str, type[Wire]], table: Mapping[str, str]) -> set[str]:
    """Return what *table* names inside members that our types keep as plain JSON."""
    return {
        f"{kind}.{name}"
        for kind, names in table.items()
        for name in names.split()
        if _find([known[kind]], name) == "opaque"
    }


def _find(structs: Iterable[type[Wire]], name: str) -> str:
    step, _, rest = name.partition(".")
    found = _STEP.fullmatch(step)
    assert found is not None, name
    member, in_list, alternative = found.groups()
    holders = [struct for struct in structs if member in plan_of(struct).members]
    if not holders:
        tagged = member == "type" and any(plan_of(struct).tag is not None for struct in structs)
        return "declared" if tagged else "missing"
    below = plan_of(holders[0]).members[member].branches
    if in_list:
        if below.element is None:
            return "opaque"
        below = below.element
    if not rest:
        return "declared"
    if not below.structs:
        return "opaque"
    return _find(_alternatives(below, alternative), rest)


def _alternatives(branches: Branches, kind: str | None) -> list[type[Wire]]:
    single = [branches.single] if branches.single is not None else []
    if kind is None or not branches.known:
        return [*branches.known.values(), *single]
    return [branches.known[kind]] if kind in branches.known else []
