"""One thing is done to a legal stream: what comes out is legal, and folds to the same answer where that can be known.

It cannot be known where a piece of text is gone or comes twice and others follow it: what was read is not taken back.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import validate_events
from responses_stream.agents.repairing import repaired
from responses_stream.order import OrderGuard
from responses_stream.protocol.codec import to_builtins
from responses_stream.validation.examples import Json, names, stream_of

from ..builders.programs import Program, as_dicts, programs
from ..validation.damage import KINDS, Damage, places

EACH_BASE: Final = pytest.mark.parametrize("name", names())
# Of all that can be done to the base streams: how much of it leaves the answer as it was.
SHARES: Final = {
    "drop": 0.93,
    "duplicate": 0.92,
    "swap": 0.97,
    "renumber": 1.0,
    "reopen": 1.0,
    "truncate": 0.05,
    "retag": 0.99,
    "change an id": 0.93,
    "cut a text": 0.8,
    "change an index": 1.0,
    "delete a member": 0.97,
    "set to a wrong type": 0.98,
    "exchange members": 0.96,
}
ANYTHING: Final[tuple[Any, ...]] = (
    *(None, True, 7, -1, 2.5, "x", [], ["x"], {}, {"type": "x"}, {"type": []}, [{}], [{"type": "output_text"}]),
    *("message", "acme:thing", "completed", "in_progress", "failed", "incomplete", "error"),
    {"type": "message", "id": "msg_01", "content": [{"type": "output_text", "text": "Hi"}]},
)
WITHOUT_ANSWER: Final = ("V3", "V4", "V5", "V8")
"""Base streams in which nobody is answered: without their end they are cut off."""


def answer(events: Sequence[Json]) -> tuple[Any, list[Json]]:
    """Return what a stream comes to: its status, and its items without their ids, in whatever order they came."""
    response = events[-1].get("response", {})
    items = [
        {member: value for member, value in item.items() if member != "id" and value is not None}
        for item in response.get("output", [])
    ]
    return response.get("status"), sorted(items, key=repr)


def mended(damaged: Sequence[Json], said: object) -> list[Json]:
    """Repair a stream; see that it is legal, and that our own server would send it."""
    events = list(repaired(damaged))
    plain = [to_builtins(event) for event in events]
    report = validate_events(plain)
    assert report.ok, f"{said}: {report}"
    guard = OrderGuard()
    for event in events:
        guard.check(event)
    assert guard.finished, str(said)
    return plain


def is_known(name: str, events: Sequence[Json], damage: Damage) -> bool:
    """Whether a stream still tells its answer after a damage, certainly."""
    hit = events[damage.at]
    piece = str(hit["type"]).endswith(".delta")
    following = events[damage.at + 1] if damage.at + 1 < len(events) else {}
    last_piece = piece and following.get("type") != hit["type"]
    told_by_numbers = not damage.numbered
    match damage.kind:
        case "renumber" | "reopen" | "change an index":
            return True
        case "swap":
            return told_by_numbers
        case "duplicate":
            return told_by_numbers or not piece
        case "drop":
            if damage.at == len(events) - 1:
                return name not in (*WITHOUT_ANSWER, "V6", "V7")
            return (not piece or (last_piece and name != "V15")) and hit["type"] not in ("error", "response.created")
        case "cut a text":
            return not piece
        case "change an id":
            return damage.path[-1] != "call_id" and name != "V15"
        case _:
            return False


def damages(name: str, most: int | None) -> Iterator[tuple[list[Json], Damage]]:
    """Yield the damages to a base stream; of each kind not more than *most*, the same ones in each run."""
    events, chance = stream_of(name), random.Random(name)
    for kind in KINDS.values():
        every = list(kind(events))
        yield from ((events, one) for one in (every if most is None else chance.sample(every, min(most, len(every)))))


@EACH_BASE
def test_damage_to_a_base_stream_is_mended(name: str) -> None:
    for events, damage in damages(name, 2):
        plain = mended(damage.done_to(events), damage)
        if is_known(name, events, damage):
            assert answer(plain) == answer(events), str(damage)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_damage_to_the_base_streams_is_mended() -> None:
    same: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for name in names():
        for events, damage in damages(name, None):
            plain = mended(damage.done_to(events), damage)
            kept = answer(plain) == answer(events)
            assert kept or not is_known(name, events, damage), f"{name}: {damage}"
            same[damage.kind] += kept
            every[damage.kind] += 1
    shares = {kind: same[kind] / every[kind] for kind in KINDS}
    print(f"{every.total()} damages", {kind: f"{share:.1%}" for kind, share in shares.items()})
    assert {kind for kind, share in shares.items() if share < SHARES[kind]} == set()


def check_program(program: Program, data: st.DataObject) -> None:
    events = as_dicts(program.events)
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    possible = list(KINDS[kind](events))
    if possible:
        damage = data.draw(st.sampled_from(possible))
        mended(damage.done_to(events), damage)


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_damage_to_any_program_is_mended(program: Program, data: st.DataObject) -> None:
    check_program(program, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(deadline=None, max_examples=3_000, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_damage_to_thousands_of_programs_is_mended(program: Program, data: st.DataObject) -> None:
    check_program(program, data)


def ruined(chance: random.Random) -> list[Json]:
    """Return a base stream to which many things were done, one upon the other."""
    events = stream_of(chance.choice(names()))
    for _ in range(chance.choice((2, 3, 4, 6, 9))):
        # Of some kinds, nothing can be done to what is left.
        with suppress(KeyError, TypeError, ValueError, IndexError):
            events = chance.choice(list(KINDS[chance.choice(sorted(KINDS))](events))).done_to(events)
    return events


def thrown_together(chance: random.Random) -> list[Json]:
    """Return events of any streams in any order, in which some members are gone or are something else."""
    every = [event for name in names() for event in stream_of(name)]
    events = copy.deepcopy([chance.choice(every) for _ in range(chance.randint(1, 14))])
    for _ in range(chance.choice((0, 1, 3, 8))):
        event = chance.choice(events)
        where = [path for path, _ in places(event)]
        if not where:  # all of it is gone
            continue
        *path, last = chance.choice(where)
        holder: Any = event
        for step in path:
            holder = holder[step]
        if isinstance(holder, dict) and chance.random() < 0.3:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(chance.choice(ANYTHING))
    return events


@pytest.mark.parametrize("broken", [ruined, thrown_together])
def test_whatever_comes_something_legal_comes_of_it(broken: Callable[[random.Random], list[Json]]) -> None:
    for seed in range(60):
        events = broken(random.Random(seed))
        mended(events, events)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("broken", [ruined, thrown_together])
def test_whatever_comes_something_legal_comes_of_it_each_time(broken: Callable[[random.Random], list[Json]]) -> None:
    for seed in range(60, 5_000):
        events = broken(random.Random(seed))
        mended(events, events)
