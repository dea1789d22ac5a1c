"""The rules, told to people: one of them for a terminal, or all of them as docs/rules.md.

Both are made from the catalogue, so that there is no second place where a rule is described. What an example breaks is
not written down either: the validator is asked.

    python -m responses_stream.validation.guide > docs/rules.md
"""

from __future__ import annotations

import importlib.resources
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

import msgspec

from responses_stream.validation import RULES, validate_events
from responses_stream.validation.catalogue import (
    envelope,
    failures,
    framing,
    items,
    parts,
    reasoning,
    replays,
    requests,
    responses,
    terminals,
    text_annotations,
    tools,
    websocket,
)
from responses_stream.validation.examples import Example
from responses_stream.validation.profiles import PROFILES, Profile
from responses_stream.validation.report import Violation
from responses_stream.validation.rule import Rule

CLIENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai-python": "openai 3.52.0, `responses.create(stream=True)`",
        "openai-python .stream()": "openai 3.52.0, `responses.stream()`",
        "openai-agents (py)": "openai-agents 0.24.0",
        "langchain (py)": "langchain-openai 1.7.3",
        "pydantic-ai": "pydantic-ai-slim 2.68.0",
        "litellm": "litellm 1.106.2",
        "any-llm": "any-llm-sdk 1.40.2",
        "openai-node": "openai 6.49.0, `responses.create({stream: true})`",
        "openai-node .stream()": "openai 6.49.0, `responses.stream()`",
        "@openai/agents (js)": "@openai/agents 0.20.0",
        "langchain-js": "@langchain/openai 1.5.8",
        "AI SDK openai": "ai 6.0.326 with @ai-sdk/openai 3.0.141",
        "AI SDK open-responses": "ai 6.0.326 with @ai-sdk/open-responses 1.0.39",
        "codex": "codex-cli 0.169.0",
    }
)
"""The clients that were measured, on 2026-11-20 with Python 3.11 and Node 20, and their versions."""

_SECTIONS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("Frames", framing),
    ("Every event", envelope),
    ("The response", responses),
    ("Items", items),
    ("Parts and text", parts),
    ("Annotations", text_annotations),
    ("Reasoning", reasoning),
    ("Tools", tools),
    ("Errors", failures),
    ("The last copy", terminals),
    ("Replays", replays),
    ("WebSocket", websocket),
    ("Across requests", requests),
)

_PROFILES: Final[Mapping[Profile, str]] = MappingProxyType(
    {
        "strict": "What a well-behaved server writes, and what our builders write. Start here.",
        "lenient": "What a reader should still accept. An error here means that a client breaks, or that something is "
        "lost. Items are told apart by `output_index` where their ids disagree.",
        "openai": "`strict` with the habits of OpenAI's service: no `[DONE]`, the nested shape of `error`, items whose "
        "`status`, `action` or `result` comes late or never.",
        "open-responses": "`strict` with the demands of Open Responses: `[DONE]`, whole copies of the response, vendor "
        "names with a prefix, the nested shape of `error`, `response.reasoning.*`.",
        "azure": "`strict` with the habits of the Azure reference server: no `[DONE]`, an `error` that is flat and "
        "stands alone, `cancelled` in `response.failed`, item types of its own.",
    }
)

_INTRODUCTION: Final = """\
# The rules

A Responses stream is right when it keeps 176 rules. This page tells each of them: what it asks for, what goes wrong
without it, and two streams, one that breaks the rule and one that just does not. It is made from the catalogue that the
validator uses, and `responses-stream explain R014` prints the same for one rule.

You need not read it from the top. Judge a stream (`responses-stream validate capture.sse`), take the id in the answer,
and look it up here. To learn the protocol, read [The response](#the-response-r029-to-r057) and
[Items](#items-r059-to-r089) first, beside V1 of the [base streams](#the-base-streams).

## How to read a rule

- **Severity**: an *error* means that clients break or that something is lost, a *warning* that it is odd, *off* that
  nobody asks. It depends on the profile.
- **Asked for by**: who requires it, and who disagrees. *OpenAI types* are those of the `openai` package, *Open
  Responses* is the specification of that name, the *public Open Responses validator* is another program for it, the
  *Azure reference server* is the library whose contract we keep. *Seen on the wire* means recorded from real services.
- **Mend it**: what the author of a server should do.
- **Breaks it**, **Keeps it**: two streams, as close to each other as possible, in the notation told below.
- **Breaks clients**: clients that were seen to break, with the error that their users got. A rule without such a line
  was not measured to break any; that does not mean that none does.

One cause is one violation: where a mistake breaks several rules, the gravest is reported, and the validator goes on as
if the mistake had not been made.
"""

_NOTATION: Final = """\
## The notation of the examples

`V1: drop 3; set 9.response.output=[]` begins with the stream V1, takes the steps in order, and judges what comes out.
Positions count from 0 in the list as it stands at that step. `V1+V2` is one stream behind the other.

| step | what it does |
| --- | --- |
| `drop a`, `drop a-b` | removes these events |
| `dup a` | repeats event a right behind itself |
| `move a b` | moves event a in front of the event that was at b |
| `insert a {…}` | puts a new event at position a |
| `set a.path=value` | replaces or adds a member, positions in arrays as numbers; `set a={…}` replaces the event |
| `del a.path` | removes a member |
| `every a-b field=value` | sets the field in each of these events that has it |
| `renumber from n` | numbers the events n, n + 1 and so on |

The `sequence_number` of an event is its position, and is written anew by `drop`, `dup`, `move` and `insert`.
`{"$R":{…}}` is the response `RESP` with these members replaced, `{"$item":n}` is the `item` of event n, and `"$U"` is
the usage. RESP, the usage and the streams stand [at the end of this page](#the-base-streams).

Rules about frames need text: there the stream is written as Server-Sent Events, `event:` and `data:`, and pieces of the
text are replaced. What else it takes to judge a stream (a profile, a request, what a replay repeats) stands behind it.
"""

_STREAMS: Final = """\
## The base streams

Each is valid in `strict`; V15 has the warnings R084 and R087 there. The number in front of an event is its position,
and its `sequence_number`.
"""

# What a client did where it did not say anything that could be quoted.
_OUR_WORDS: Final = ("raises", "no error", "exit 0")
_WIDTH: Final = 100
_SHOWN: Final = 160
# Names of the protocol: what has an underscore or a dot inside, as `output_index`, `response.created`, `reasoning.*`.
_NAME: Final = re.compile(r"\b[a-z]{2,}\w*(?:[._][a-z]\w*)+(?:\.\*)?")
_RANGE: Final = re.compile(r"R\d{3}(?:-| to )R\d{3}[:,]\s*")


def explain(rule: Rule, profile: Profile | None = None) -> str:
    """Return what is to be said of *rule*, for a terminal; its severity in each profile, or in one."""
    lines = [f"{rule.id}  {rule.title}", ""]
    severity = f"{rule.severity(profile)} in {profile}" if profile else _severities(rule)
    for name, text in (("Severity", severity), ("Why", rule.why), ("Asked for by", rule.source), ("Hint", rule.hint)):
        lines += _entry(name, text)
    for error, clients in _clients_by_error(rule).items():
        lines += _entry("Breaks", f"{clients}: {error}")
    lines += ["", "A stream that breaks it:", f"  {_told(rule.breaks)}"]
    for violation in _found(rule)[:1]:
        lines += [f"  {violation.position}, {violation.path}: {_what(violation)}"]
        lines += [f"  {line}" for line in _events_at(rule.breaks, violation.index)]
    if rule.implies:
        lines.append(f"  It breaks {' and '.join(rule.implies)} too.")
    lines += ["", "One that just does not:", f"  {_told(rule.holds)}"]
    return "\n".join(lines)


def listed(rule: Rule, profile: Profile | None = None) -> str:
    """Return the line of a list of rules: its id, its severity in *profile* or in ``strict``, and its title."""
    return f"{rule.id}  {rule.severity(profile or 'strict'):<7}  {rule.title}"


def markdown() -> str:
    """Return the text of docs/rules.md."""
    pieces = [_INTRODUCTION, _profiles(), _NOTATION, _clients()]
    for heading, section in _SECTIONS:
        rules: tuple[Rule, ...] = section.RULES
        pieces.append(f"## {heading}: {rules[0].id} to {rules[-1].id}\n\n{_opening(section)}\n")
        pieces += map(_entry_of, rules)
    return "\n".join([*pieces, _STREAMS, *_base_streams()])


def _entry(name: str, text: str) -> list[str]:
    margin = f"{name + ':':<14}"
    rest = " " * len(margin)
    # Names of clients and profiles have hyphens, and stay whole.
    return textwrap.wrap(text, _WIDTH, initial_indent=margin, subsequent_indent=rest, break_on_hyphens=False)


def _severities(rule: Rule) -> str:
    """Severities by gravity: ``error in strict and azure; warning in lenient``."""
    by_severity: dict[str, list[str]] = {}
    for profile in PROFILES:
        by_severity.setdefault(rule.severity(profile), []).append(profile)
    if len(by_severity) == 1:
        return f"{rule.strict} in every profile"
    return "; ".join(f"{severity} in {', '.join(profiles)}" for severity, profiles in by_severity.items())


def _told(example: Example, code: Callable[[str], str] = str) -> str:
    """The notation of an example, and all else that it takes to judge it; *code* marks what is no prose."""
    more = []
    if example.profile != "strict":
        more.append(f"in profile {code(example.profile)}")
    if example.transport == "websocket":
        more.append("over a WebSocket")
    more += [f"then the message {code(message)}" for message in example.messages]
    if example.edits is not None:
        more.append("as text")
    more += [f"with {code(json.dumps(new))} for {code(json.dumps(old))}" for old, new in example.edits or ()]
    if example.starting_after is not None:
        more.append(f"as the replay after {example.starting_after}")
    if example.original is not None:
        more.append(f"replaying {code(example.original)}")
    if example.retrieved is not None:
        more.append(f"where GET returns the last copy of {code(example.retrieved)}")
    if example.request is not None:
        more.append(f"answering {code(_compact(example.request))}")
    return code(example.notation) + (f" ({', '.join(more)})" if more else "")


def _clients_by_error(rule: Rule) -> dict[str, str]:
    by_error: dict[str, list[str]] = {}
    for client, error in rule.clients:
        by_error.setdefault(error, []).append(client)
    return {error: ", ".join(clients) for error, clients in by_error.items()}


def _found(rule: Rule) -> list[Violation]:
    """What the validator says of this rule in the example that breaks it."""
    example = rule.breaks
    select = {rule.id} if rule.severity(example.profile) == "off" else ()
    report = validate_events(example.source, select=select, **example.settings)
    return [violation for violation in report.violations if violation.rule == rule.id]


def _what(violation: Violation) -> str:
    return f"{violation.message}; expected {violation.expected}" if violation.expected else violation.message


def _events_at(example: Example, index: int) -> Iterator[str]:
    """The event at *index* of an example, shortened; none where it is text that is shown by its changes."""
    events = example.events
    if example.edits is None and index < len(events):
        text = _compact(events[index])
        yield text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _compact(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def _marked(text: str) -> str:
    """Return *text* with the names of the protocol marked as code, where they are not yet."""
    pieces = text.split("`")
    pieces[::2] = [_NAME.sub(r"`\g<0>`", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _opening(section: ModuleType) -> str:
    """The docstring of a section, without the range of its rules, which the heading has."""
    text = _RANGE.sub("", inspect.getdoc(section) or "", count=1)
    return _marked(text[:1].upper() + text[1:])


def _entry_of(rule: Rule) -> str:
    lines = [f"### {rule.id}: {_marked(rule.title)}", "", _marked(rule.why), ""]
    lines += [f"- **Severity**: {_severities(rule)}", f"- **Asked for by**: {_marked(rule.source)}"]
    lines += [f"- **Mend it**: {_marked(rule.hint)}", f"- **Breaks it**: {_told(rule.breaks, _code)}{_where(rule)}"]
    lines.append(f"- **Keeps it**: {_told(rule.holds, _code)}")
    by_error = _clients_by_error(rule).items()
    lines += [f"- **Breaks clients**: {clients}: {_error(error)}" for error, clients in by_error]
    return "\n".join([*lines, ""])


def _error(text: str) -> str:
    return text if text.startswith(_OUR_WORDS) else _code(text)


def _where(rule: Rule) -> str:
    told = "".join(f"; event {one.index}, `{one.path}`" for one in _found(rule)[:1])
    return f"{told}; this breaks {' and '.join(rule.implies)} too" if rule.implies else told


def _profiles() -> str:
    lines = [
        "## The profiles",
        "",
        "| profile | what it stands for | differs from `strict` in |",
        "| --- | --- | --- |",
    ]
    for profile, text in _PROFILES.items():
        differing = [rule for rule in RULES.values() if profile in rule.profiles]
        listing = ", ".join(f"{rule.id} {rule.severity(profile)}" for rule in differing)
        if profile == "lenient":
            listing = "most rules, each of which says so"
        lines.append(f"| `{profile}` | {text} | {listing or '-'} |")
    return "\n".join([*lines, ""])


def _base_streams() -> Iterator[str]:
    text = importlib.resources.files("responses_stream.validation").joinpath("base_streams.json").read_text("utf-8")
    known = json.loads(text)
    yield _block("RESP and the usage", (f"{name:<4} {_compact(known[name])}" for name in ("RESP", "$U")))
    for name, stream in known["streams"].items():
        lines = (f"{at:>2} {_compact(event)}" for at, event in enumerate(stream["events"]))
        yield _block(f"{name}: {stream['about']}", lines)


def _block(heading: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### {heading}", "", "```text", *lines, "```", ""])


def _clients() -> str:
    lines = ["## The clients", "", "One good stream and 36 variations of it were served to real clients on 2026-11-20"]
    lines += ["(Python 3.11, Node 20). What a rule says of a client was measured with these versions:", ""]
    lines += ["| client | version |", "| --- | --- |"]
    lines += [f"| {client} | {version} |" for client, version in CLIENTS.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(markdown(), end="")
