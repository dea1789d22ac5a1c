"""What a check found: a `Finding` for each fault, a `CheckedCase` for each run, and the `CheckReport` of all.

A handler that does a thing wrong does it wrong in most runs. So the report for people says each fault once, with the
first run that shows it and the number of the others; the report for programs says it with every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from responses_stream.validation.profiles import Profile
from responses_stream.validation.report import Gravity, Violation

Where: TypeAlias = Literal["handler", "wire", "answer"]
"""Where a fault shows: in what the handler said, in the stream that a client gets, or in the JSON that it gets."""

Verdict: TypeAlias = Literal["ok", "warn", "fail"]


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is wrong with one run.

    Attributes:
        code: the id of the broken rule, or the name of the fault: ``raised``, ``refused``, ``unanswered``...
        severity: ``error`` or ``warning``.
        where: where it shows.
        message: what was seen.
        expected: what should have been there.
        hint: what mends it.
        index: the event, from 0, where it is about one.
        path: the JSON path, where it is about one.
        clients: the clients that are known to break.
        excerpt: the events around it, one a line; the one that is meant is marked.
        traceback: how the handler came there.
        cause: what tells this fault from others with the same code; a report for people says each once.
    """

    code: str
    severity: Gravity
    where: Where
    message: str
    expected: str = ""
    hint: str = ""
    index: int | None = None
    path: str = ""
    clients: tuple[str, ...] = ()
    excerpt: tuple[str, ...] = ()
    traceback: str = ""
    cause: str = ""

    @classmethod
    def of(cls, violation: Violation, where: Where, excerpt: tuple[str, ...]) -> Finding:
        """Return the finding that tells *violation*."""
        return cls(
            code=violation.rule,
            severity=violation.severity,
            where=where,
            message=violation.message,
            expected=violation.expected,
            hint=violation.hint,
            index=violation.index,
            path=violation.path,
            clients=violation.clients,
            excerpt=excerpt,
            cause=violation.path,
        )

    @property
    def key(self) -> tuple[str, ...]:
        """What is the same for two findings of the same fault."""
        return self.code, self.severity, self.where, self.cause

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as ``responses-stream check --format json`` prints it."""
        members = ("code", "severity", "where", "message", "expected", "hint", "index", "path", "traceback")
        lists = {"clients": list(self.clients), "excerpt": list(self.excerpt)}
        return {member: getattr(self, member) for member in members} | lists

    def lines(self) -> Iterator[str]:
        """Yield what people read: the fault, the way out, the events around it, and how the handler came there."""
        path = f", {self.path}" if self.path not in ("", "$") else ""
        place = "" if self.index is None else f"event {self.index}{path}: "
        expected = f"; expected {self.expected}" if self.expected else ""
        yield f"{place}{self.message}{expected}"
        if self.hint:
            yield f"hint: {self.hint}"
        if self.clients:
            yield f"breaks: {', '.join(self.clients)}"
        yield from self.excerpt
        yield from self.traceback.splitlines()


@attrs.frozen(kw_only=True)
class CheckedCase:
    """One run: one thing that was asked in one mode.

    Attributes:
        kind: the kind of input.
        name: what was asked.
        mode: how it was asked.
        request: the body of the request.
        outcome: how it ended, for people: ``completed, 9 events``.
        findings: what is wrong.
    """

    kind: str
    name: str
    mode: str
    request: Mapping[str, Any]
    outcome: str
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """``fail`` where there is an error, ``warn`` where there is a warning, else ``ok``."""
        found = {finding.severity for finding in self.findings}
        return "fail" if "error" in found else "warn" if found else "ok"

    @property
    def title(self) -> str:
        """What was asked, and how: ``text: empty (stream)``."""
        return f"{self.kind}: {self.name} ({self.mode})"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data; the request is left out, because it may be large."""
        found = [finding.as_dict() for finding in self.findings]
        members = ("kind", "name", "mode", "verdict", "outcome")
        return {member: getattr(self, member) for member in members} | {"findings": found}

    def __str__(self) -> str:
        codes = ", ".join(dict.fromkeys(finding.code for finding in self.findings))
        return f"{self.verdict:<4}  {self.title:<58} {self.outcome:<24} {codes}".rstrip()


@attrs.frozen(kw_only=True)
class CheckReport:
    """What was found in all runs of one handler.

    Attributes:
        handler: its name.
        profile: how its streams were read.
        cases: the runs, in their order.
    """

    handler: str
    profile: Profile
    cases: tuple[CheckedCase, ...]

    @property
    def ok(self) -> bool:
        """Whether no run shows an error."""
        return all(case.verdict != "fail" for case in self.cases)

    def count(self, verdict: Verdict) -> int:
        """Return how many runs there are with this verdict."""
        return sum(case.verdict == verdict for case in self.cases)

    def faults(self) -> list[tuple[Finding, list[CheckedCase]]]:
        """Return each fault once, as it was first seen, errors first, with the runs that show it."""
        seen: dict[tuple[str, ...], tuple[Finding, list[CheckedCase]]] = {}
        for case in self.cases:
            for finding in case.findings:
                cases = seen.setdefault(finding.key, (finding, []))[1]
                if case not in cases[-1:]:
                    cases.append(case)
        return sorted(seen.values(), key=lambda fault: fault[0].severity != "error")

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as ``responses-stream check --format json`` prints it."""
        cases = [case.as_dict() for case in self.cases]
        return {"ok": self.ok, "handler": self.handler, "profile": self.profile, "cases": cases}

    def details(self) -> str:
        """Return what is wrong, each fault once, and the tally in the last line."""
        told: list[str] = []
        for finding, cases in self.faults():
            others = len(cases) - 1
            more = f" and {others} other case{'s' if others > 1 else ''}" if others else ""
            told.append(f"{finding.code} {finding.severity} in {cases[0].title}{more}, {_WHERE[finding.where]}")
            told += [f"    {line}".rstrip() for line in finding.lines()]
            told.append("")
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in ("ok", "warn", "fail"))
        told.append(f"{self.handler} in profile {self.profile}: {len(self.cases)} cases, {counts}")
        return "\n".join(told)

    def __str__(self) -> str:
        troubled = [str(case) for case in self.cases if case.findings]
        return "\n".join([*troubled, *([""] if troubled else []), self.details()])


_WHERE: Mapping[Where, str] = {
    "handler": "in what the handler said",
    "wire": "in the stream that a client gets",
    "answer": "in the answer that a client gets",
}
