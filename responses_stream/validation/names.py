"""Ids and call ids: what may not be said twice, and what has to be said before (R064, R161-R163)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.copies import Copies
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.items import OpenItem
from responses_stream.validation.register import Register

# Tools that the server runs itself (R163).
_BUILT_IN: Final = frozenset(
    {"file_search_call", "web_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)


class Names:
    """The ids and call ids of one response.

    Args:
        register: the items.
        copies: what the response says of itself.
        request: the body that it answers, which may hold calls of its own.
        context: whether calls may stand in what is not seen.
        findings: takes what is wrong.
    """

    __slots__ = ("_built_in", "_calls", "_context", "_copies", "_findings", "_register", "_request")

    def __init__(
        self,
        register: Register,
        copies: Copies,
        request: Mapping[str, Any] | None,
        findings: Findings,
        *,
        context: bool,
    ) -> None:
        self._register, self._copies, self._request, self._findings = register, copies, request, findings
        self._context, self._built_in = context, 0
        # By call_id the place of the call; None where it is not certain whose it is.
        self._calls: dict[str, int | None] = {}

    def clear(self) -> None:
        """Forget them."""
        self._calls.clear()

    def judge(self, item: OpenItem) -> None:
        """Judge those of an item that is added."""
        self._judge_item_id(item)
        self._judge_call_id(item)
        self._built_in += item.type in _BUILT_IN
        most = self._copies.max_tool_calls
        if item.type in _BUILT_IN and most is not None and self._built_in > most:
            seen = f"call {self._built_in} of a built-in tool"
            self._findings.say("R163", "$.item", seen, f"at most {most}", once="most")

    def dispute(self, item: OpenItem, *call_ids: str | None) -> None:
        """Take it that *item* said two call ids: one is wrong, and may be that of another."""
        for call_id in call_ids:
            if call_id is not None and self._calls.get(call_id) in (None, item.place):
                self._calls[call_id] = None

    def _judge_item_id(self, item: OpenItem) -> None:
        """R064."""
        ids, item_id = self._register.ids, item.id
        if item_id is None:
            return
        before = self._register.open.get(ids[item_id]) if item_id in ids else None
        if before is not None and before.alias:
            before.id, before.alias = before.alias, ""  # its own id was wrong, as its events told
        elif item_id in ids:
            seen = f"is {shown(item_id)}, the id of another item"
            self._findings.say("R064", "$.item.id", seen, "an id of its own")
            item.id = None
            if before is not None:
                before.id = None  # which of the two has a wrong id is not known
        ids[item_id] = item.place

    def _judge_call_id(self, item: OpenItem) -> None:
        """R161, R162."""
        findings, call_id = self._findings, item.call_id
        if call_id is None:
            return
        if lifecycle.grammar_of(item.type).calls:
            other = self._calls.get(call_id)
            if other is not None:
                seen = f"is {shown(call_id)}, the call_id of another call"
                findings.say("R162", "$.item.call_id", seen, "a call_id of its own")
                item.call_id = None
                if other in self._register.open:
                    self._register.open[other].call_id = None
            self._calls[call_id] = item.place
        elif item.type.endswith("_output") and call_id not in self._calls and not self._has_context(call_id):
            seen = f"is {shown(call_id)}, the call_id of no call"
            findings.say("R161", "$.item.call_id", seen, "the call_id of the call that it answers")

    def _has_context(self, call_id: str) -> bool:
        """Whether the call may stand in what came before the response."""
        request = self._request
        if self._context:
            return True
        if request is None:
            return False
        if request.get("previous_response_id") or request.get("conversation"):
            return True
        given = request.get("input")
        return isinstance(given, list) and any(
            isinstance(item, Mapping) and item.get("call_id") == call_id for item in given
        )
