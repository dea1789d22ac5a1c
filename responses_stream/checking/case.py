"""One case: a handler is asked one thing in one mode, and what comes of it is judged."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from typing import Any

import anyio
import attrs

from responses_stream.checking import judging, places
from responses_stream.checking.answers import Answer
from responses_stream.checking.asking import Mode, body_of
from responses_stream.checking.clients import TO_BE_CANCELLED, cancel, patience
from responses_stream.checking.probes import Probe
from responses_stream.checking.report import CheckedCase, Finding
from responses_stream.checking.watching import Heard, Watched
from responses_stream.hosting.server import ResponsesServer
from responses_stream.validation import EventValidator, validate_events
from responses_stream.validation.profiles import Profile


@attrs.frozen(kw_only=True)
class Strictness:
    """How cases are judged.

    Attributes:
        profile: how streams are read.
        ignore: the rules that are not asked for.
        timeout: how many seconds the handler has to answer, and how many to end after its answer.
        deterministic: whether the same question has to get the same answer in each mode.
        model: the model of a request that names none.
    """

    profile: Profile
    ignore: Collection[str]
    timeout: float
    deterministic: bool
    model: str


@attrs.frozen
class Asked:
    """A handler that was asked: what, how, what it said, what a client got, and what was wrong on the way."""

    probe: Probe
    mode: Mode
    request: Mapping[str, Any]
    heard: Heard
    answer: Answer | None
    trouble: list[Finding]


@attrs.define
class Checker:
    """Asks one handler, case by case.

    Attributes:
        server: the engine that runs the handler.
        watched: the handler.
        strictness: how it is judged.
        heard: the run that was begun last.
        hanging: whether there is a run that did not come to its end.
    """

    server: ResponsesServer
    watched: Watched
    strictness: Strictness
    heard: Heard | None = attrs.field(init=False, default=None)
    hanging: bool = attrs.field(init=False, default=False)
    _answers: dict[str, dict[str, Any]] = attrs.field(init=False, factory=dict)
    _probe: Probe | None = attrs.field(init=False, default=None)

    def longest(self, mode: Mode) -> float:
        """Return how many seconds `ask` takes at most, unless something keeps the loop from running."""
        after = patience(self.server) if mode.background else TO_BE_CANCELLED
        return self._seconds(mode) + max(self.strictness.timeout, after)

    async def ask(self, probe: Probe, mode: Mode) -> Asked:
        """Ask, and wait until the handler has come to its end."""
        request = mode.request(probe.members, self.strictness.model)
        heard = self._listen(request)
        answer, trouble = await self._answer(heard, mode, body_of(request))
        heard.closed = True
        return Asked(probe, mode, request, heard, answer, trouble)

    def judge(self, asked: Asked) -> CheckedCase:
        """Return what is wrong with what came of it. Not in the loop: a long stream takes its time."""
        heard, answer, mode = asked.heard, asked.answer, asked.mode
        findings = [*judging.heard_findings(heard), *asked.trouble]
        if answer is not None:
            if answer.is_stream and heard.started and answer.status == 200:
                profile, ignore = self.strictness.profile, self.strictness.ignore
                report = validate_events(answer.body, profile, request=asked.request, ignore=ignore)
                findings += judging.wire_findings(heard, answer, report, findings)
            findings += judging.answer_findings(heard, answer, asked.probe, mode)
            findings += self._compare(asked.probe, answer, mode, findings)
        outcome = "no answer" if answer is None else answer.outcome
        return _case(asked.probe, mode, asked.request, outcome, findings)

    def blocked(self, probe: Probe, mode: Mode, thread: int) -> CheckedCase:
        """Return the case of a handler that keeps the event loop of *thread* from running."""
        request = mode.request(probe.members, self.strictness.model)
        assert self.heard is not None
        self.heard.closed = True
        finding = judging.blocking(self.heard, self.strictness.timeout, places.stuck_at(thread))
        return _case(probe, mode, request, "no answer", [finding])

    def _listen(self, request: Mapping[str, Any]) -> Heard:
        validator = EventValidator(self.strictness.profile, request=request, ignore=self.strictness.ignore)
        self.heard = heard = Heard(validator)
        self.watched.listen(heard)
        return heard

    async def _answer(self, heard: Heard, mode: Mode, body: bytes) -> tuple[Answer | None, list[Finding]]:
        """Return the answer, and what is wrong with how the handler came by it."""
        seconds = self.strictness.timeout
        answer: Answer | None = None
        with anyio.move_on_after(self._seconds(mode)) as waiting:
            try:
                answer = await mode.ask(self.server, body, heard)
            except Exception as error:
                told = traceback.format_exception(error)
                return None, [judging.of_engine(f"the engine raised {error!r}", "".join(told).rstrip())]
        if not heard.started:
            return answer, []
        if waiting.cancelled_caught and mode.background:
            await cancel(self.server, heard)
        else:
            with anyio.move_on_after(seconds if answer is not None else TO_BE_CANCELLED):
                await heard.ended.wait()
        self.hanging = self.hanging or not heard.has_finished
        if waiting.cancelled_caught:
            return None, [judging.unanswered(heard, seconds, self._place(heard))]
        if answer is None:
            return None, [judging.unstopped(patience(self.server), self._place(heard))]
        if not heard.ended.is_set():
            return answer, [judging.lingering(seconds, self._place(heard))]
        cancelled_itself = heard.stopped is not None and not heard.told_to_stop
        return answer, [judging.cancelled_itself(heard)] if cancelled_itself else []

    def _seconds(self, mode: Mode) -> float:
        """Return how long an answer may take."""
        return self.strictness.timeout + (patience(self.server) if mode.stops else 0)

    def _place(self, heard: Heard) -> str:
        """Return where the handler waits: where it was cancelled, or where its thread is now."""
        if heard.stopped is not None and (where := places.waited_at(heard.stopped)):
            return where
        return "\n".join(filter(None, map(places.stuck_at, places.threads_of(heard.response_id))))

    def _compare(self, probe: Probe, answer: Answer, mode: Mode, findings: list[Finding]) -> list[Finding]:
        """Compare the answer with that of another mode, unless one of the two is wrong anyway."""
        if probe is not self._probe:
            self._probe, self._answers = probe, {}
        response = answer.response
        if response is None or any(finding.severity == "error" for finding in findings):
            return []
        self._answers[mode.name] = response
        other = self._answers.get(mode.like or "")
        if other is None or mode.like is None:
            return []
        found = judging.disagreement(other, response, mode.like, self.strictness.deterministic)
        return [] if found is None else [found]


def _case(probe: Probe, mode: Mode, request: Mapping[str, Any], outcome: str, findings: list[Finding]) -> CheckedCase:
    return CheckedCase(
        kind=probe.kind,
        name=probe.name,
        mode=mode.name,
        request=request,
        outcome=outcome,
        findings=tuple(findings),
    )
