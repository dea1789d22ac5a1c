"""``responses-stream demo``: serves the tutor of the docs, and reads it with the real `openai` client, three ways.

It prints every event on a line, then the answer as the client's helper, our own accumulator and the JSON tell it, and
whether they agree. Ids and times are of one response each, so they are left out where responses are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from responses_stream.cli.failure import CommandError

if TYPE_CHECKING:
    import openai
    from openai.types.responses import FunctionToolParam

EXAMPLE: Final = Path("docs") / "examples" / "tutor.py"
QUESTION: Final = "Why is the sky blue?"
PATIENCE: Final = 30.0

_SHOWN_LINES: Final = 200
_ADDRESS: Final = re.compile(r"listening on (http://\S+)")
_TIMES: Final = ("created_at", "completed_at")
_IDS: Final = ("id", "call_id", "response_id", "agent_session_id")
# The client's own additions to what came over the wire.
_PARSED: Final = ("parsed", "parsed_arguments")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo`` to the commands."""
    text = "Serve docs/examples/tutor.py, read it with the openai client three ways, and compare."
    commands.add_parser("demo", help="watch a server and a client", description=text).set_defaults(command=run)


def run(_chosen: argparse.Namespace) -> int:
    """Show the demonstration, and return 0 if all ways of reading agree.

    Raises:
        CommandError: the example or the `openai` package cannot be found, or the server does not start.
    """
    example = _find_example()
    try:
        import openai
    except ImportError:
        message = "the demo reads its server with the openai client: pip install 'responses-stream[test]'"
        raise CommandError(message) from None
    with (
        _serving(example) as address,
        # The environment may name a proxy, which has no business with the loopback.
        openai.DefaultHttpxClient(trust_env=False) as http,
        openai.OpenAI(
            base_url=f"{address}/v1", api_key="demo", http_client=http, max_retries=0, timeout=PATIENCE
        ) as client,
    ):
        print(f"{example} on {address}, asked {QUESTION!r}\n")
        return 0 if _show(client) else 1


def _show(client: openai.OpenAI) -> bool:
    from responses_stream.accumulator import Accumulator
    from responses_stream.protocol.codec import decode_event, to_builtins
    from responses_stream.validation.validator import EventValidator

    tool: FunctionToolParam = {
        "type": "function",
        "name": "draw",
        "description": "Draw what is explained.",
        "parameters": {
            "type": "object",
            "properties": {"subject": {"type": "string"}},
            "required": ["subject"],
            "additionalProperties": False,
        },
        "strict": True,
    }

    print("client.responses.create(stream=True), event by event:")
    accumulator, validator = Accumulator(), EventValidator(request={"model": "tutor", "input": QUESTION})
    ended: dict[str, Any] = {}
    with client.responses.create(model="tutor", input=QUESTION, tools=[tool], stream=True) as events:
        for event in events:
            plain = event.to_dict(mode="json")
            validator.feed(plain)
            print(f"  {plain['sequence_number']:>3}  {plain['type']:<42} {gist(plain)}".rstrip())
            if plain["type"] == "response.completed":
                ended = dict(_mapping(plain["response"]))
            else:
                accumulator.feed(decode_event(plain))
    validator.finish()
    # The fold is made without the terminal event, which would say it all.
    folded = {**ended, "output": to_builtins(accumulator.response)["output"] if accumulator.response else None}

    with client.responses.stream(model="tutor", input=QUESTION, tools=[tool]) as helper:
        helped = helper.get_final_response()
    print(f"\nclient.responses.stream(), the final response:\n  {helped.output_text}")
    answered = client.responses.create(model="tutor", input=QUESTION, tools=[tool])
    print(f"client.responses.create(), the JSON:\n  {answered.output_text}")
    print("responses_stream.accumulate, the fold of the events:")
    for item in folded["output"] or ():
        print(f"  {gist({'item': item})}")

    ways = {
        "stream": comparable(ended),
        "fold": comparable(folded),
        "helper": comparable(helped.to_dict(mode="json")),
        "JSON": comparable(answered.to_dict(mode="json")),
    }
    print(f"responses_stream.validate_events, the verdict:\n  {validator.report}")
    differing = [name for name, way in ways.items() if way != ways["stream"]]
    agreed = bool(ended) and not differing
    against = ", ".join(differing) or "nothing was completed"
    print("\nstream, fold and JSON agree" if agreed else f"\nstream, fold and JSON do not agree: {against}")
    return agreed and validator.report.ok


def gist(event: Mapping[str, object]) -> str:
    """Return what is worth reading of an event, in a few words."""
    for member in ("delta", "text", "arguments", "message"):
        if isinstance(event.get(member), str):
            return _short(repr(event[member]))
    if isinstance(response := event.get("response"), Mapping):
        return f"{response.get('id')} {response.get('status')}"
    for member in ("item", "part", "annotation"):
        if isinstance(event.get(member), Mapping):
            return _short(" ".join(_words(_mapping(event[member]))))
    return ""


def comparable(response: Mapping[str, object]) -> dict[str, Any]:
    """Return *response* without what differs from one response to the next: its times and its ids."""
    kept: dict[str, Any] = _without((*_TIMES, *_IDS, *_PARSED), response)
    return kept


def _without(names: tuple[str, ...], value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(names, member) for name, member in value.items() if name not in names}
    return [_without(names, element) for element in value] if isinstance(value, list) else value


def _words(value: Mapping[str, object]) -> Iterator[str]:
    """The members of an object that tell it from others."""
    for member in ("type", "status", "name", "url"):
        if isinstance(value.get(member), str):
            yield str(value[member])
    parts = [*_list(value.get("summary")), *_list(value.get("content"))]
    text = "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
    said = text or value.get("arguments") or value.get("text")
    if said:
        yield repr(said)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _short(text: str) -> str:
    return text if len(text) <= 76 else f"{text[:73]}..."


def _find_example() -> Path:
    """The example lies in the repository: below the current directory, or beside the package."""
    beside = Path(__file__).resolve().parents[2] / EXAMPLE
    for place in (EXAMPLE, beside):
        if place.is_file():
            return place
    raise CommandError(f"{EXAMPLE} is not here; the demo runs in a checkout of the repository")


@contextlib.contextmanager
def _serving(example: Path) -> Iterator[str]:
    """Serve *example* in a process of its own on a free port, and yield its address."""
    command = [sys.executable, "-m", "responses_stream", "serve", str(example), "--port", "0", "--transport", "h11"]
    with subprocess.Popen([*command, "--store", "memory:"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # A full pipe would stop the server. What it logs of each request is told only where something went wrong.
        logged: deque[str] = deque(maxlen=_SHOWN_LINES)
        reading = threading.Thread(target=logged.extend, args=(process.stderr,), daemon=True)
        try:
            address = _address(process.stderr)
            reading.start()
            yield address
        except BaseException:
            process.terminate()
            if reading.is_alive():
                reading.join()
            print(*logged, sep="", end="", file=sys.stderr)
            raise
        process.terminate()
        reading.join()


def _address(log: IO[str]) -> str:
    for line in log:
        if found := _ADDRESS.search(line):
            return found[1]
        print(line, end="", file=sys.stderr)
    raise CommandError("the server of the demo did not start", status=1)
