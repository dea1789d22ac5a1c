"""The course of a repaired response: it is created, it runs, its items come, and it ends exactly once.

Whatever the upstream leaves out of this is said for it, by the table `lifecycle.RESPONSE`; what may not come any more
is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_names import guessed, is_misnamed, meant, tells_error
from responses_stream.agents.repairing_output import Output
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_response import Copies
from responses_stream.agents.repairing_shapes import EVENTS, fitted_event
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import InvalidValue
from responses_stream.validation.dialects import CHAT_COMPLETIONS, dialect_of
from responses_stream.validation.structure import word_of
from responses_stream.validation.table import PART_EVENTS, STEP_EVENTS

_CANCELLED: Final = "response.cancelled"
_KEEPALIVE: Final = "keepalive"
_ERROR_BODY: Final = "the body of an error, and no stream of events"
_MOST_HELD: Final = 16
# What an event may have that tells nothing.
_BARE: Final = frozenset({"type", "sequence_number", "response", "stream_id", "obfuscation"})
_NAMELESS: Final = "A call came without the name of its function, so that nobody can answer it."
# What a stream may end with though its terminal event is missing: an answer, or a call that the client answers.
_NO_ANSWER: Final = frozenset(
    {
        *("reasoning", "compaction", "mcp_call", "mcp_list_tools"),
        *("file_search_call", "web_search_call", "code_interpreter_call"),
    }
)


class Course:
    """Takes the events of an upstream, in their order, and says those of the repaired stream to an `Outlet`.

    Attributes:
        ended: whether the terminal event was said, so that nothing more is read.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.ended = False
        self._outlet = outlet
        self._copies, self._output = Copies(outlet), Output(outlet)
        self._state = lifecycle.BEFORE
        # What came before any copy of the response, whose id is not known yet.
        self._held: list[tuple[int | None, Json]] = []
        self._error: Json | None = None
        self._finish: str | None = None
        self._seen = False
        # Whether something stands behind response.created that is no event of the response (R033).
        self._apart = False

    # Events.

    def take(self, index: int | None, event: Json) -> None:
        """Take the next event of the upstream.

        Raises:
            InvalidValue: the stream speaks another protocol.
        """
        if not self._seen:
            event = self._first(event)
        name = self._name_of(index, event)
        if self.ended:
            self._leave_out_behind_end()
        elif name == _KEEPALIVE:
            self._outlet.mend("R017", "keep-alives were left out; whoever sends the stream makes his own", habit="it")
        elif self._state == lifecycle.BEFORE and not _begins(name, event):
            self._take_early(index, name, event)
        elif not self._begin_by(name, event):
            self._outlet.begin(index, _type_of(event))
            self._take(name, event)

    def finish(self, *, broke: bool = False, code: str = "") -> None:
        """Say what is owed when the upstream says nothing more.

        Args:
            broke: whether it was cut off, and said so.
            code: the code of the error that it was cut off with, where that has one.
        """
        if self.ended:
            return
        if self._state == lifecycle.BEFORE:
            self._begin(None)
        self._outlet.begin(None, "")
        if not self.ended:
            self._end_for_it(broke=broke, code=code)

    def _first(self, event: Json) -> Json:
        self._seen = True
        dialect = dialect_of(event)
        if dialect == _ERROR_BODY:
            self._outlet.mend("R011", "it was the body of an error, and was told as one")
            return {**event, "type": lifecycle.ERROR}
        if dialect is not None:
            way = "from_chat_completions reads such chunks" if dialect == CHAT_COMPLETIONS else "it cannot be repaired"
            raise InvalidValue("events", f"speaks another protocol, {dialect}; {way}")
        return event

    def _name_of(self, index: int | None, event: Mapping[str, Any]) -> str:
        """Return the type of an event, guessed where it has none, or one that its members do not fit."""
        name = event.get("type")
        self._outlet.begin(index, _type_of(event))
        response = event.get("response")
        if name == _CANCELLED:
            return _CANCELLED
        if isinstance(name, str) and name in lifecycle.STATUS_SAID and isinstance(response, dict):
            return meant(name, response)
        if isinstance(name, str) and name and name not in EVENTS:
            return name
        if not isinstance(name, str) or not name:
            return guessed(event, known=self._output.knows(event)) or ""
        if is_misnamed(event, name):
            return guessed(event, known=self._output.knows(event)) or name
        return name

    def _take(self, name: str, event: Json) -> None:
        outlet = self._outlet
        if name != event.get("type") and name and name != _CANCELLED:
            given = event.get("type")
            rule = "R011" if not isinstance(given, str) or not given else "R048" if "response" in event else "R013"
            outlet.mend(rule, f"it was taken as {name}, which has such members")
        if self.ended:  # what was held back until now has told so
            self._leave_out_behind_end()
        elif self._state == lifecycle.ERRORED and name not in (lifecycle.FAILED, _CANCELLED):
            outlet.mend("R176" if name == lifecycle.ERROR else "R172", "it came after an error, and was left out")
        elif name in lifecycle.TERMINAL or name == _CANCELLED:
            self._terminal(name, event)
        elif name in lifecycle.STATUS_SAID:
            self._lifecycle(name, event)
        elif name == lifecycle.ERROR and not tells_error(event):
            outlet.mend("R170", "it told no error, and was left out")
        elif name == lifecycle.ERROR:
            self._say_error(event)
            self._state = lifecycle.ERRORED
        elif not name:
            outlet.mend("R011", "it had no type, and nothing can be made of it; it was left out")
        elif name not in EVENTS:
            outlet.say(event)
            self._apart = True
        else:
            self._of_items(name, event)

    def _leave_out_behind_end(self) -> None:
        self._outlet.mend("R038", "it came after the end of the response, and was left out", habit="end")

    def _of_items(self, name: str, event: Json) -> None:
        if name.startswith("response.steer."):
            self._pass(name, event)
            return
        self._run()
        if name == lifecycle.ITEM_ADDED:
            self._output.added(event)
        elif name == lifecycle.ITEM_DONE:
            self._output.finish(event)
        elif name in PART_EVENTS or name in STEP_EVENTS:
            self._output.inside(name, event)
        else:
            self._pass(name, event)

    def _pass(self, name: str, event: Json) -> None:
        """Say an event that belongs to no item as it came."""
        said, odd = fitted_event(event, name, {})
        if odd:
            self._outlet.mend("R015", f"{odd[0]} did not fit its type")
        self._outlet.say(said)

    # The beginning.

    def _take_early(self, index: int | None, name: str, event: Json) -> None:
        """Take what comes before any copy of the response: it waits for one, or is a lone error (H3.10)."""
        if name == lifecycle.ERROR and tells_error(event) and not self._held:
            self._say_error(event)
            self.ended = True
            return
        self._held.append((index, event))
        if len(self._held) > _MOST_HELD:
            self._begin(None)

    def _begin_by(self, name: str, event: Json) -> bool:
        """Say what an event needs that stands before it; return whether that was the event itself."""
        if self._state != lifecycle.BEFORE or (name == lifecycle.CREATED and not self._held):
            return False
        if name != lifecycle.CREATED:
            self._begin(event)
            return False
        self._outlet.mend("R030", "what came before it was said behind it")
        self._created(event)
        self._go_on_with_held()
        return True

    def _begin(self, event: Json | None) -> None:
        """Say that the response is created, though nobody did."""
        self._outlet.mend("R030", f"{lifecycle.CREATED} was missing, and was said first")
        response = event.get("response") if event is not None else None
        copy = dict(response) if isinstance(response, dict) else None
        if copy is not None:
            for member in ("error", "incomplete_details", "completed_at", "usage"):
                copy[member] = None
            copy["status"] = "queued" if event is not None and event.get("type") == lifecycle.QUEUED else "in_progress"
        made = self._copies.made(lifecycle.CREATED, copy, [], quiet=True)
        self._state = "created as queued" if made["status"] == "queued" else "created"
        self._output.response_id = self._copies.id
        self._outlet.say({"type": lifecycle.CREATED, "response": made})
        self._go_on_with_held()

    def _created(self, event: Json) -> None:
        made = self._copies.made(lifecycle.CREATED, _copy_of(event), [])
        self._state = "created as queued" if made["status"] == "queued" else "created"
        self._output.response_id = self._copies.id
        self._outlet.say({**event, "type": lifecycle.CREATED, "response": made})

    def _go_on_with_held(self) -> None:
        held, self._held = self._held, []
        index, name = self._outlet.index, self._outlet.event
        for at, event in held:
            self.take(at, event)
        self._outlet.begin(index, name)

    def _run(self) -> None:
        """Say that the response runs, unless that was said."""
        if self._state in (lifecycle.RUNNING, lifecycle.CUT_SHORT):
            return
        self._outlet.mend("R061", f"{lifecycle.IN_PROGRESS} was missing, and was said before it")
        self._say_copy(lifecycle.IN_PROGRESS, None)

    def _say_copy(self, name: str, event: Json | None) -> None:
        response = _copy_of(event) if event is not None else None
        made = self._copies.made(name, response, [], quiet=event is None)
        self._outlet.say({**(event or {}), "type": name, "response": made})
        self._state = lifecycle.RESPONSE[self._state][name]

    def _lifecycle(self, name: str, event: Json) -> None:
        """Take created, queued and in_progress."""
        if name == lifecycle.CREATED and self._state == lifecycle.BEFORE:
            self._created(event)
        elif name in lifecycle.RESPONSE[self._state] and not (self._apart and name == lifecycle.QUEUED):
            self._say_copy(name, event)
        elif name in lifecycle.RESPONSE[self._state]:
            self._outlet.mend("R033", f"it did not come right behind {lifecycle.CREATED}, and was left out")
        else:
            rule = lifecycle.broken_by(self._state, name).partition("-")[0]
            self._outlet.mend(rule, f"it came when the response was {self._state}, and was left out")

    # The end.

    def _terminal(self, name: str, event: Json) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            self._finish = lifecycle.FAILED if name == _CANCELLED else name
            if event.keys() <= _BARE and not response:
                self._outlet.mend("R013", "it had no response, and was given one")
                self._end_for_it(broke=False)
            else:
                # Its name may be wrong: whether this is the end shows when nothing follows.
                self._outlet.mend("R013", "it had no response, and was said again at the end")
            return
        if name == _CANCELLED:
            self._outlet.mend("R048", f"a response that is cancelled ends with {lifecycle.FAILED}")
            name, response = lifecycle.FAILED, {**response, "status": "cancelled"}
        self._end(name, {**event, "response": response})

    def _end(self, name: str, event: Json) -> None:
        response = event["response"]
        told = self._told()
        shown = response.get("output")
        output = self._output
        if self._state == lifecycle.ERRORED:
            name = lifecycle.FAILED
        elif name != lifecycle.FAILED:
            late = [one for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []
            if self._state != lifecycle.RUNNING and (late or self._state not in ("created", lifecycle.CUT_SHORT)):
                self._run()
            output.take_final(late, cut=name == lifecycle.INCOMPLETE)
        listed = output.listed(shown, whole=name != lifecycle.FAILED)
        if name == lifecycle.COMPLETED and output.nameless:
            name, told, response = lifecycle.FAILED, (SERVER_ERROR, _NAMELESS), {**response, "status": "failed"}
        if name == lifecycle.COMPLETED and output.cut:
            self._outlet.mend("R059", "an item was done as incomplete, so the response is incomplete, too")
            name = lifecycle.INCOMPLETE
            response = {**response, "status": "incomplete"}
        made = self._copies.made(name, response, listed, told=told)
        self._outlet.say({**event, "type": name, "response": made})
        self._state, self.ended = lifecycle.ENDED, True

    def _end_for_it(self, *, broke: bool, code: str = "") -> None:
        """Say the terminal event that the upstream owes (R029, R171)."""
        output, last = self._output, self._output.items[-1] if self._output.items else None
        told = self._told()
        whole = not (broke or output.open) and last is not None and last.type not in _NO_ANSWER
        name = self._finish or (lifecycle.COMPLETED if whole else lifecycle.FAILED)
        if told is not None:
            name = lifecycle.FAILED
        elif (name != lifecycle.FAILED and output.cut) or (output.cut and not broke and not output.open):
            name = lifecycle.INCOMPLETE
        rule = "R171" if told is not None else "R029"
        if self._finish is None:
            self._outlet.mend(rule, f"the stream broke off, and was ended with {name}")
        listed: list[Json] | None = None
        reason = told or ((code, SERVER_ERROR_MESSAGE) if code else None)
        if name == lifecycle.FAILED and told is not None:
            listed = output.so_far
        elif name == lifecycle.FAILED:
            output.close_cut()
        else:
            if output.open or self._state not in ("created", lifecycle.RUNNING, lifecycle.CUT_SHORT):
                self._run()
            output.take_final([], cut=name == lifecycle.INCOMPLETE)
            if name == lifecycle.COMPLETED and output.nameless:
                name, reason = lifecycle.FAILED, (SERVER_ERROR, _NAMELESS)
        made = self._copies.made(name, None, output.done if listed is None else listed, told=reason, quiet=True)
        self._outlet.say({"type": name, "response": made})
        self._state, self.ended = lifecycle.ENDED, True

    # Errors.

    def _say_error(self, event: Json) -> None:
        """Say an error event, flat or nested as it came (R170)."""
        nested = event.get("error")
        made = dict(event)
        if nested is not None and not isinstance(nested, dict):
            del made["error"]
            if isinstance(nested, str):
                made.setdefault("message", nested)
            nested = None
        made, _ = fitted_event(made, lifecycle.ERROR, {"error": {"message": SERVER_ERROR_MESSAGE}})
        inner = made.get("error")
        flat = isinstance(made.get("message"), str)
        whole = isinstance(inner, dict) and isinstance(inner.get("message"), str)
        if not (flat or whole):
            made["message"] = SERVER_ERROR_MESSAGE
            made.setdefault("code", SERVER_ERROR)
        if flat and isinstance(inner, dict):
            for member in ("message", "code", "param"):
                if member in made and inner.get(member) != made[member]:
                    inner = made["error"] = {**inner, member: made[member]}
        if {**made, "sequence_number": 0} != {**event, "sequence_number": 0}:
            self._outlet.mend("R170", "the error was made to tell one message")
        self._error = self._error or made
        self._outlet.say(made)

    def _told(self) -> tuple[str, str] | None:
        """Return the code and the message of the error event, where one came."""
        if self._error is None:
            return None
        inner = self._error.get("error")
        nested = inner if isinstance(inner, dict) else {}
        code = word_of(nested.get("code")) or word_of(self._error.get("code")) or SERVER_ERROR
        message = word_of(nested.get("message")) or word_of(self._error.get("message")) or SERVER_ERROR_MESSAGE
        return code, message


def _begins(name: str, event: Mapping[str, Any]) -> bool:
    """Whether an event tells which response begins."""
    return (name in lifecycle.STATUS_SAID or name == _CANCELLED) and isinstance(event.get("response"), dict)


def _copy_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    response = event.get("response")
    return response if isinstance(response, dict) else {}


def _type_of(event: Mapping[str, Any]) -> str:
    return word_of(event.get("type")) or ""
