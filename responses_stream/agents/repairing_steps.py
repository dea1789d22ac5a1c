"""The events of a tool inside its item: its states, in their order, and the string that it streams.

A state that may not come yet is led up to by the fewest events that the table allows; one that may not come any more is
left out. The streamed string follows the rule of all texts here: what its deltas have said stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from responses_stream import lifecycle
from responses_stream.agents.chat_completions_values import Characters
from responses_stream.agents.repairing_parts import reconciled, whole_pieces
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_routes import route, route_to_end
from responses_stream.validation.items import STRINGS, at

Say: TypeAlias = Callable[[str, Mapping[str, Any], "Mapping[str, Any] | None"], None]
"""Says an event of a tool: its name, its members, and the event of the upstream that it is made of, if there is one."""

_NEED_DONE: Final = frozenset({"function_call", "custom_tool_call", "mcp_call", "code_interpreter_call"})
_WHOLES: Final = ("arguments", "input", "text", "code", "diff")


class Steps:
    """The way of an item through its own table.

    Attributes:
        state: where it is.
        value: the streamed string, once its done value was said.
        name: the name of the function, as its item was added.
    """

    def __init__(
        self, kind: str, grammar: lifecycle.Grammar, fields: Mapping[str, Any], outlet: Outlet, say: Say
    ) -> None:
        self.state = lifecycle.OPEN
        self.value: str | None = None
        self.name = ""
        self._type, self._grammar, self._outlet, self._say = kind, grammar, outlet, say
        self._own = frozenset(name for steps in grammar.steps.values() for name in steps)
        # What the item showed when it was added.
        self._early = fields
        self._characters = Characters()
        self._texts: list[str] = []
        self._images = 0

    @property
    def text(self) -> str:
        """What was said of the streamed string."""
        return "".join(self._texts)

    @property
    def failed(self) -> bool:
        """Whether an event told that it failed."""
        return self.state == lifecycle.BROKEN

    @property
    def _rule(self) -> str:
        return first_of(self._grammar.rules)

    def take(self, name: str, event: Mapping[str, Any]) -> None:
        """Take an event of the upstream; one of another tool is taken as the own one that does the same."""
        if name not in self._own:
            word = name.rpartition(".")[2]
            likely = [own for own in self._own if own.rpartition(".")[2] == word]
            if len(likely) != 1 or (word == "done" and not event.keys() & set(_WHOLES)):
                self._outlet.mend("R085", f"a {self._type} has no such events; it was left out")
                return
            self._outlet.mend("R085", f"it was taken as {likely[0]}, the event of a {self._type}")
            name = likely[0]
        if self._leads_to(name):
            self._step(name, event)

    def show(self, shows: object) -> None:
        """Say the string that the finished item shows, where no done event did (R143)."""
        if self._type not in STRINGS or self.value is not None or not isinstance(shows, str):
            return
        way = route(self._grammar.steps, self.state, lambda state: state == lifecycle.VALUE_DONE)
        if way and (self._texts or (shows and self._type in _NEED_DONE)):
            self._outlet.mend("R143", f"{', '.join(way)} came before it")
            self.value = shows
            self._walk(way)

    def end(self, wanted: str | None, *, failed: bool, last: bool, told: bool) -> str | None:
        """Say what is owed before the item is done; return the status that it is done with.

        Args:
            wanted: the status that it should have.
            failed: whether its events have to tell that it failed.
            last: whether it may be incomplete, because no item stands behind it.
            told: whether the upstream told that the item is done, so that what is owed is reported.
        """
        way, status = route_to_end(self._grammar, self.state, wanted, failed=failed, last=last)
        if way and told:
            rule = "R143" if way[-1].endswith(".done") else self._rule
            self._outlet.mend(rule, f"{', '.join(way)} came before it")
        self._walk(way)
        return status

    def _leads_to(self, name: str) -> bool:
        """Say what has to come before an event; return whether it may come."""
        steps, outlet = self._grammar.steps, self._outlet
        if name in steps[self.state]:
            return True
        way = route(steps, self.state, lambda state: name in steps[state])
        if way is None:
            rule = first_of(lifecycle.broken_in_item(self._grammar, self.state, name))
            outlet.mend(rule, f"it came when the {self._type} was {self.state}, and was left out")
            return False
        outlet.mend(self._rule, f"{', '.join(way)} came before it")
        self._walk(way)
        return True

    def _walk(self, way: Iterable[str]) -> None:
        for name in way:
            self._step(name, None)

    def _step(self, name: str, event: Mapping[str, Any] | None) -> None:
        members: Json | None = {}
        if name.endswith(".delta"):
            members = self._piece(event or {})
        elif name.endswith(".partial_image"):
            members = self._image(event or {})
        elif self._type in STRINGS and name.endswith(".done"):
            members = self._whole(name, event)
        if members is not None:
            self._say(name, members, event)
            self.state = self._grammar.steps[self.state][name]

    def _piece(self, event: Mapping[str, Any]) -> Json | None:
        delta = event.get("delta")
        if not isinstance(delta, str):
            self._outlet.mend("R013" if delta is None else "R015", "its delta was no text, and it was left out")
            return None
        whole = whole_pieces(self._characters, delta, self._outlet)
        if whole is None:
            return None
        self._texts.append(whole)
        return {"delta": whole}

    def _image(self, event: Mapping[str, Any]) -> Json:
        """Count a partial image (R155)."""
        number, self._images = self._images, self._images + 1
        if event.get("partial_image_index") != number:
            self._outlet.mend("R155", "its image was numbered anew")
        return {"partial_image_index": number}

    def _whole(self, name: str, event: Mapping[str, Any] | None) -> Json | None:
        """Return the members of the done event of the string, and say what no delta said of it."""
        member, place = STRINGS[self._type]
        said = self.text
        value: object = said if self.value is None else self.value
        if event is not None:
            value = next((event[one] for one in (member, *_WHOLES) if one in event), None)
            if value is None and not said:
                value = at(self._early, place) or None
            if value is None and not said:
                self._outlet.mend("R013", "it said nothing, and was left out")
                return None
        whole, rest = reconciled(said, value, "R141", self._outlet, f"the {member} of the {self._type}")
        if rest:
            delta = name.removesuffix(".done") + ".delta"
            self._texts.append(rest)
            self._say(delta, {"delta": rest}, None)
            self.state = self._grammar.steps[self.state][delta]
        self.value = whole
        return {member: whole} | self._name_in(event)

    def _name_in(self, event: Mapping[str, Any] | None) -> Json:
        """Return the name of the function, where the done event shows another, or has to be made (R145)."""
        if self._type != "function_call":
            return {}
        if event is None:
            return {"name": self.name} if self.name else {}
        if event.get("name", self.name) == self.name:
            return {}
        self._outlet.mend("R145", "its name was made that of the item")
        return {"name": self.name}


def first_of(rules: str) -> str:
    """Return the first of the rules that a table names, as in ``R140, R143`` or ``R150-R152``."""
    return rules.partition(",")[0].partition("-")[0]
