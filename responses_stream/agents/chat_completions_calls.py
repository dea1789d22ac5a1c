"""The tool calls of a Chat Completions stream: which fragment is of which call, whatever its server makes of indexes.

A server should send the id and the name of a call once, and count its calls by `index`. Many do otherwise: they leave
the index out, send 0 for all, repeat the name, change the id, or say the arguments twice. Each call comes out as pieces
with one id and one name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

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
    """

    call_id: str
    named: bool = False
    custom: bool = False
    again: _Call | None = None
    name: str = ""
    drifts: bool = False
    told: bool = False
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
            _arguments_of(arguments),
            custom=bool(custom),
        )

    def take_legacy(self, fragment: Any) -> Iterator[FunctionCall]:
        """Take a `function_call`, the one call that a message could have before there were `tool_calls`."""
        name, arguments = text_of(member(fragment, "name")), _arguments_of(member(fragment, "arguments"))
        yield from self._take(_LEGACY, "", name, arguments)

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
        self, index: int | None, call_id: str, name: str, arguments: str, *, custom: bool = False
    ) -> Iterator[FunctionCall]:
        if call_id in self._doubtful:
            call_id = ""
        call = self._find(index, call_id, name, arguments)
        if call is None:
            # The calls stand in the order in which they began.
            yield from [other.tell() for other in self._calls if other.name and not other.told and not other.again]
            call = self._begin(index, call_id, custom=custom)
        elif call_id and call_id not in self._by_id:
            self._by_id[call_id] = call
            call.drifts = call.named
            call.named = True
        call.add_name(name)
        yield from self._add(index, call, arguments)

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
            return at.whole or bool(at.name and name != at.name)
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

    def _add(self, index: int | None, call: _Call, arguments: str) -> Iterator[FunctionCall]:
        while True:
            rest = call.add(arguments)
            yield from self._tell(call)
            if not rest.startswith("{"):
                break
            # Behind a whole object: another call of the same function, or the same one again (open-webui#22235).
            first = call.again or call
            call, arguments = self._begin(index, "", again=first), rest
            call.name = first.name
            self._by_id[first.call_id] = call
        if rest:
            _log.info("the upstream sent more than the arguments of the tool call %s; it was dropped", call.call_id)
        self._last = call

    def _tell(self, call: _Call) -> Iterator[FunctionCall]:
        """Tell what came of a call; one that may repeat the call before it is told when it is known to be another."""
        if call.again is not None:
            if not call.whole or call not in self._calls:
                return
            if call.arguments == call.again.arguments:
                self._calls.remove(call)
                return
            call.again = None
        if call.name and call.waits:
            yield call.tell()


def _id_of(value: Any) -> str:
    return str(value) if type(value) is int else text_of(value)


def _arguments_of(value: Any) -> str:
    """Return arguments as the text that they should be: some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
