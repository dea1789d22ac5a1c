"""R210-R213: the response against other bodies: the request that it answers, and the copy that GET returns later."""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

_IN_EACH_COPY: Final = "set 0.response.{0}={1}; set 1.response.{0}={1}; set 9.response.{0}={1}"
_DATED: Final = "V1: " + _IN_EACH_COPY.format("model", '"example-model-2026-01-15"')

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R210",
        title="The copy that GET returns equals the response of the terminal event (`encrypted_content` aside)",
        why="Who comes back later reads another answer than who followed the stream.",
        source="Azure reference server, seen on the wire",
        strict="warning",
        lenient="off",
        hint="Store the response of the terminal event, and return that.",
        breaks=Example("V3", retrieved='V3: set 12.response.output.0.summary.0.text="1"'),
        holds=Example("V3", retrieved='V3: set 12.response.output.0.encrypted_content="gAAA"'),
    ),
    Rule(
        id="R211",
        title="What `response.created` echoes is what was asked for",
        why="A client that checks the echo takes its settings for ignored. "
        "model may be resolved to a dated name, and service_tier to the real tier.",
        source="OpenAI types, Open Responses, seen on the wire",
        strict="warning",
        lenient="off",
        hint="Copy the settings of the request into the response before it is created.",
        breaks=Example(_DATED, request={"model": "example-model", "input": "Hi", "temperature": 0.2}),
        holds=Example(_DATED, request={"model": "example-model", "input": "Hi", "temperature": 1}),
    ),
    Rule(
        id="R212",
        title="A response with `store: false` cannot be retrieved",
        why="The client asked for nothing to be kept; here something was.",
        source="Azure reference server, OpenAI types",
        strict="error",
        lenient="warning",
        hint="Answer GET with 404 where the request said `store: false`.",
        breaks=Example("V1", request={"model": "example-model", "input": "Hi", "store": False}, retrieved="V1"),
        holds=Example("V1", request={"model": "example-model", "input": "Hi", "store": True}, retrieved="V1"),
    ),
    Rule(
        id="R213",
        title="A response to a request with `previous_response_id` echoes it",
        why="The chain is broken for everybody who walks it back from the response.",
        source="Open Responses, OpenAI types",
        strict="error",
        lenient="warning",
        hint="Write `previous_response_id` of the request into every copy of the response.",
        breaks=Example(
            "V1: " + _IN_EACH_COPY.format("previous_response_id", "null"),
            request={"model": "example-model", "input": "Hi", "previous_response_id": "resp_00"},
        ),
        holds=Example(
            "V1: " + _IN_EACH_COPY.format("previous_response_id", '"resp_00"'),
            request={"model": "example-model", "input": "Hi", "previous_response_id": "resp_00"},
        ),
    ),
)
