"""What the copies of the response say of its items, against what the events said of them (R045, R046, R180-R185)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.differences import difference, shown
from responses_stream.validation.endings import DoneItem
from responses_stream.validation.findings import Findings
from responses_stream.validation.items import OpenItem
from responses_stream.validation.structure import word_of

_PATH: Final = "$.response.output"
# R181: what may be told otherwise in each copy.
_MAY_DIFFER: Final = ("encrypted_content", "fingerprint")


def judge_early(name: str, output: Sequence[Any], added: int, findings: Findings) -> None:
    """Judge the `output` of a copy before the end (R045, R046)."""
    if name in (lifecycle.CREATED, lifecycle.QUEUED):
        if output:
            findings.say("R045", _PATH, f"holds {len(output)} items in {name}", "[]")
    elif len(output) > added:
        findings.say("R046", _PATH, f"holds {len(output)} items", f"at most {added}, as many as were added")


def judge_final(
    name: str,
    output: Sequence[Any],
    done: Mapping[int, DoneItem],
    still_open: Mapping[int, OpenItem],
    findings: Findings,
    *,
    doubt: bool,
) -> None:
    """Judge the `output` of the terminal copy.

    Args:
        name: the terminal event.
        output: the items that it lists.
        done: the items that were done, by index.
        still_open: the items that were not.
        findings: takes what is wrong.
        doubt: whether the items were numbered so oddly that a list of them cannot be compared.
    """
    if name == lifecycle.COMPLETED:
        cut = _judge_statuses(output, done, findings)
        if not doubt and not still_open and not cut:
            _judge_completed(output, done, findings)
    elif not doubt:
        _judge_cut_short(name, output, done, still_open, findings)


def _judge_statuses(output: Sequence[Any], done: Mapping[int, DoneItem], findings: Findings) -> bool:
    """R059, R089; return whether the list says the same wrong thing as a done event did."""
    cut = [index for index, item in done.items() if item.status == "incomplete"]
    if cut:
        seen = f"completed, and the item at {cut[0]} was done as incomplete"
        findings.say("R059", "$.type", seen, lifecycle.INCOMPLETE)
        return True
    for at, item in enumerate(output):
        status = item.get("status") if isinstance(item, Mapping) else None
        if status in ("in_progress", "incomplete"):
            path = f"{_PATH}[{at}].status"
            findings.say("R089", path, f"is {shown(status)} in a completed response", "'completed' or 'failed'")
            return True
    return False


def _judge_completed(output: Sequence[Any], done: Mapping[int, DoneItem], findings: Findings) -> None:
    """R180-R182."""
    items = [item for _, item in sorted(done.items())]
    if len(output) != len(items):
        findings.say("R180", _PATH, f"holds {len(output)} items", f"{len(items)}, as many as were added")
        return
    for at, (said, item) in enumerate(zip(items, output, strict=True)):
        if said.shape is None or not _is_item(item):
            continue
        if item.get("type") != said.type or (said.id is not None and item.get("id") != said.id):
            seen = f"is {item.get('type')} {shown(item.get('id'))}"
            findings.say("R182", f"{_PATH}[{at}]", seen, f"{said.type} {said.id!r}, in the order of output_index")
            return
        found = difference(said.shape, item, _MAY_DIFFER)
        if found is not None:
            where, seen, expected = found
            findings.say("R181", f"{_PATH}[{at}]{where}", f"is {seen}", f"{expected}, as the item was done")


def _judge_cut_short(
    name: str,
    output: Sequence[Any],
    done: Mapping[int, DoneItem],
    still_open: Mapping[int, OpenItem],
    findings: Findings,
) -> None:
    """R183-R185."""
    if not all(map(_is_item, output)):
        return
    known = {item.id for item in done.values()} | {item.id for item in still_open.values()}
    listed = {word_of(item.get("id")) for item in output}
    if None not in known:
        for at, item in enumerate(output):
            if word_of(item.get("id")) not in known:
                seen = f"is {item.get('type')} {shown(item.get('id'))}"
                findings.say("R184", f"{_PATH}[{at}]", seen, "items that were added")
                return
    missing = [item.id for item in done.values() if item.id is not None and item.id not in listed]
    rule = "R183" if name == lifecycle.INCOMPLETE else "R185"
    begun = [item for item in output if item.get("status") == "in_progress"]
    if missing and (output or rule == "R183"):
        findings.say(rule, _PATH, f"lacks {missing[0]!r}", "all items that were done")
    elif begun and rule == "R183":
        findings.say(rule, _PATH, f"holds {shown(begun[0].get('id'))} in progress", "finished items only")
    else:
        _judge_repeated(rule, output, done, findings)


def _is_item(item: Any) -> bool:
    """Whether it can be compared at all; what is none is said with the types (R066)."""
    return isinstance(item, Mapping) and isinstance(item.get("type"), str)


def _judge_repeated(rule: str, output: Sequence[Any], done: Mapping[int, DoneItem], findings: Findings) -> None:
    """An item that is listed otherwise than it was done is not the one that was done."""
    by_id = {item.id or "": item for item in done.values() if item.shape is not None}
    for at, item in enumerate(output):
        said = by_id.get(word_of(item.get("id")) or "")
        found = None if said is None else difference(said.shape, item, _MAY_DIFFER)
        if found is not None:
            where, seen, expected = found
            findings.say(rule, f"{_PATH}[{at}]{where}", f"is {seen}", f"{expected}, as the item was done")
            return
