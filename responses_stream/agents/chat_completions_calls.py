"""The tool calls of a Chat Completions stream: which fragment is of which call, whatever its server makes of indexes.

A server should send the id and the name of a call once, and count its calls by `index`. Many do otherwise: they leave
the index out, send 0 for all, repeat the name, change the id, say the arguments twice, or an empty object before them.
Each call comes out as pieces with one id and one name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from responses_stream.agents.chat_completions_values import Characters, member, members, text_of
from responses_stream.agents.contents import FunctionCall
from responses_stream.agents.rendering import RunFailed
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.protocol.ids import new_id

_log: Final = logging.getLogger("responses_stream")

# The index of the call of `function_call`, which has none.
_LEGACY: Final = -1

_Object: TypeAlias = dict[str, Any]


@attrs.define(eq=False)
class _Extent:
    """How far a JSON object or array goes that comes in pieces. Each character is looked at once."""

    whole: bool = False
    _begun: bool = False
    _free: bool = False
    _depth: int = 0
    _in_string: bool = False
    _escaped: bool = False

    def feed(self, text: str) -> int:
        """Take the next piece, and return how much of it belongs to the object; `whole` tells whether it has ended."""
        if self._free:
            return len(text)
        for at, character in enumerate(text):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
            elif character in "{[":
                self._begun = True
                self._depth += 1
            elif character in "}]" and self._begun:
                self._depth -= 1
                if not self._depth:
                    self.whole = True
                    return at + 1
            elif not self._begun and not character.isspace():
                # It is none; where it ends, only its server knows.
                self._free = True
                return len(text)
            elif character == '"':
                self._in_string = True
        return len(text)


@attrs.define(eq=False)
class _Call:
    """One call.

    Attributes:
        named: whether its id is that of its server, and not made here.
        again: the call before it at the same place, which it may only repeat; None once that is known.
        drifts: whether its server gives it another id with each fragment.
        told: whether its name was told, so that it cannot change any more.
        given: its arguments, where they came as an object and not as its JSON.
    """

    call_id: str
    named: bool = False
    custom: bool = False
    again: _Call | None = None
    name: str = ""
    drifts: bool = False
    told: bool = False
    given: _Object | None = None
    _arguments: list[str] = attrs.field(init=False, factory=list)
    _told: int = attrs.field(init=False, default=0)
    _extent: _Extent = attrs.field(init=False, factory=_Extent)
    _characters: Characters = attrs.field(init=False, factory=Characters)

    @property
    def arguments(self) -> str:
        """All of its arguments so far."""
        return "".join(self._arguments)

    @property
    def whole(self) -> bool:
        """Whether nothing can be added to its arguments."""
        return self._extent.whole

    @property
    def waits(self) -> bool:
        """Whether there are arguments that were not told."""
        return self._told < len(self._arguments)

    @property
    def is_loose(self) -> bool:
        """Whether its arguments are whole, and yet what follows may take their place: see `replace`."""
        return self.is_placeholder or (self.whole and not self._told and self.given is not None)

    @property
    def is_placeholder(self) -> bool:
        """Whether its arguments are an empty object, which may only stand for those to come (unsloth#10275)."""
        return self.whole and not self._told and not self.arguments.strip(" \t\r\n{}")

    @property
    def is_there(self) -> bool:
        """Whether anything was said of it."""
        return bool(self.name or self._arguments)

    def add_name(self, name: str) -> None:
        """Take the name, or a piece of it; some servers repeat it with each fragment."""
        if name and not self.told and name != self.name:
            self.name = name if name.startswith(self.name) else self.name + name

    def add(self, text: str) -> str:
        """Take a piece of the arguments, and return what is not of them."""
        text = self._characters.take(text)
        used = 0 if self.whole else len(text) if self.custom else self._extent.feed(text)
        if used:
            self._arguments.append(text[:used])
        return text[used:].strip()

    def replace(self, text: str, given: _Object | None) -> str:
        """Return the piece of the arguments to add, what came before it forgotten where this takes its place.

        What was told of a call cannot be taken back, so an object that may grow (oh-my-pi#2082) waits.
        """
        if given is not None and self.given is not None:
            self.given = _filled(self.given, given)
            text = msgspec.json.encode(self.given).decode()
        elif not (self.is_placeholder and text.lstrip().startswith("{")):
            return text
        else:
            self.given = given
        self._arguments, self._extent = [], _Extent()
        return text

    def tell(self) -> FunctionCall:
        """Return what was not told of it."""
        piece = "".join(self._arguments[self._told :])
        self._told, self.told = len(self._arguments), True
        return FunctionCall(self.call_id, self.name, piece, self.custom)


@attrs.define(eq=False)
class Calls:
    """The tool calls of one choice: fragments in, pieces of calls out.

    Raises:
        RunFailed: while taking the last of them, of a call that has arguments and no name.
    """

    _calls: list[_Call] = attrs.field(init=False, factory=list)
    _by_index: dict[int, _Call] = attrs.field(init=False, factory=dict)
    _by_id: dict[str, _Call] = attrs.field(init=False, factory=dict)
    # Ids that stand for several calls, and so for none.
    _doubtful: set[str] = attrs.field(init=False, factory=set)
    _last: _Call | None = attrs.field(init=False, default=None)

    @property
    def were_any(self) -> bool:
        """Whether anything was said of a call."""
        return bool(self._calls)

    @property
    def are_open(self) -> bool:
        """Whether a piece of a call may still come: what else is said has to wait for it (A11)."""
        return any(not call.whole and call.is_there for call in self._calls)

    def take(self, fragment: Any) -> Iterator[FunctionCall]:
        """Take an entry of `tool_calls`, of a delta or of a whole message."""
        fragment = members(fragment)
        index = member(fragment, "index")
        custom = member(fragment, "custom")
        # Some servers leave the `function` around the name and the arguments out.
        body = members(next(filter(None, (member(fragment, "function"), custom)), fragment))
        arguments = member(body, "input") if custom else member(body, "arguments")
        yield from self._take(
            index if type(index) is int else None,
            _id_of(member(fragment, "id")),
            text_of(member(body, "name")),
            arguments,
            custom=bool(custom),
        )

    def take_legacy(self, fragment: Any) -> Iterator[FunctionCall]:
        """Take a `function_call`, the one call that a message could have before there were `tool_calls`."""
        yield from self._take(_LEGACY, "", text_of(member(fragment, "name")), member(fragment, "arguments"))

    def settle(self) -> Iterator[FunctionCall]:
        """Say that something else follows, and say the arguments that have waited for more."""
        for call in self._calls:
            if call.name and call.is_loose:
                yield call.tell()

    def finish(self) -> Iterator[FunctionCall]:
        """Say that no fragment follows.

        Raises:
            RunFailed: a call has arguments and no name, so that nobody can answer it.
        """
        yield from self.break_off()
        if any(call.arguments.strip() for call in self._calls if not call.name):
            _log.error("the upstream sent the arguments of a tool call and never told its name")
            raise RunFailed(SERVER_ERROR, SERVER_ERROR_MESSAGE)

    def break_off(self) -> Iterator[FunctionCall]:
        """Say what is there of the calls and was not said yet."""
        for call in self._calls:
            if call.name and (call.waits or not call.told):
                yield call.tell()

    def _take(
        self, index: int | None, call_id: str, name: str, said: Any, *, custom: bool = False
    ) -> Iterator[FunctionCall]:
        arguments = _arguments_of(said)
        if call_id in self._doubtful:
            call_id = ""
        call = self._find(index, call_id, name, arguments)
        if call is None:
            # The calls stand in the order in which they began.
            begun = [one for one in self._calls if one.name and (not one.told or one.is_loose) and not one.again]
            yield from [other.tell() for other in begun]
            call = self._begin(index, call_id, custom=custom)
        elif call_id and call_id not in self._by_id:
            self._by_id[call_id] = call
            call.drifts = call.named
            call.named = True
        elif call_id and call.whole and not call.is_loose:
            # An id that is said again names the same call, whose arguments were told.
            self._drop(call, arguments)
            return
        call.add_name(name)
        yield from self._add(index, call, arguments, said if isinstance(said, dict) else None)

    def _find(self, index: int | None, call_id: str, name: str, arguments: str) -> _Call | None:
        """Return the call that a fragment is of; None where it begins one."""
        at = None if index is None else self._by_index.get(index)
        known = self._by_id.get(call_id) if call_id else None
        if known is not None and (at is not None or index is None or not name):
            return known  # where the index has moved on in the middle of a call, the id has not (dirac#215)
        if at is not None:
            return None if self._is_another(at, call_id, name, arguments) else at
        if known is not None:
            if known.name == name and not known.whole:
                return known
            self._doubtful.add(call_id)
            return None
        last = self._last
        if last is None:
            return None
        if not name:
            # A fragment that names no call belongs to the one that is open.
            return None if call_id and index is not None else last
        return last if index is None and not call_id and name == last.name and not last.whole else None

    def _is_another(self, at: _Call, call_id: str, name: str, arguments: str) -> bool:
        """Tell whether a fragment begins a call, though it has the index of *at* (ollama#15457, dynamo#4723)."""
        if not name or (at.drifts and name == at.name):
            return False
        if call_id:
            # Two calls without arguments, rather than a server that changes its ids and says nothing twice.
            return at.whole or bool(at.name and name != at.name) or not (at.arguments or arguments)
        return at.whole and name != at.name and bool(arguments.strip())

    def _begin(self, index: int | None, call_id: str, *, custom: bool = False, again: _Call | None = None) -> _Call:
        named = bool(call_id) and call_id not in self._by_id
        if not named:
            call_id = new_id("call")
        call = _Call(call_id, named, custom, again)
        self._calls.append(call)
        self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call

    def _add(self, index: int | None, call: _Call, arguments: str, given: _Object | None) -> Iterator[FunctionCall]:
        if not call.arguments:
            call.given = given
        while True:
            if call.is_loose:
                arguments = call.replace(arguments, given)
            rest = call.add(arguments)
            yield from self._tell(call)
            if not rest.startswith("{"):
                break
            given, arguments = None, rest
            if call.is_placeholder:
                continue
            if call.is_loose and call.name:
                yield call.tell()
            # Behind a whole object: another call of the same function, or the same one again (open-webui#22235).
            first = call.again or call
            call = self._begin(index, "", again=first)
            call.name = first.name
            self._by_id[first.call_id] = call
        if rest:
            self._drop(call, rest)
        self._last = call

    def _drop(self, call: _Call, rest: str) -> None:
        if rest.strip() and rest.strip() != call.arguments.strip():
            _log.info("the upstream sent more than the arguments of the tool call %s; it was dropped", call.call_id)

    def _tell(self, call: _Call) -> Iterator[FunctionCall]:
        """Tell what came of a call; one that may repeat the call before it is told when it is known to be another."""
        if call.again is not None:
            if not call.whole or call not in self._calls:
                return
            if call.arguments == call.again.arguments:
                self._calls.remove(call)
                return
            call.again = None
        if call.name and call.waits and not call.is_loose:
            yield call.tell()


def _id_of(value: Any) -> str:
    return str(value) if type(value) is int else text_of(value)


def _arguments_of(value: Any) -> str:
    """Return arguments as the text that they should be: some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


def _filled(before: Any, after: Any) -> Any:
    """Return a value of which *after* is the next piece: all of it so far, or what follows."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before | {name: _filled(before.get(name), value) for name, value in after.items()}
    if isinstance(before, str) and isinstance(after, str):
        return after if after.startswith(before) else before + after
    if isinstance(before, list) and isinstance(after, list):
        return after if after[: len(before)] == before else [*before, *after]
    return after
