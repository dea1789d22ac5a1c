"""Ids of responses and items: ``<prefix>_<18 characters of partition><32 of entropy>`` (H17.40 to H17.44).

Everything that belongs to one response, and each response that continues it, shares the partition: a new id takes it
from a *hint*. Readers treat ids as opaque; only the ids of responses are checked, where they come in.
"""

from __future__ import annotations

import os
import re
from types import MappingProxyType
from typing import Final

from responses_stream.errors import InvalidValue

RESPONSE_PREFIX: Final = "resp"
"""What the ids of responses begin with, unless an option says otherwise (decision 18)."""

_ACCEPTED_PREFIXES: Final = ("caresp", "resp")
_BODY: Final = re.compile(r"[A-Za-z0-9]{50}\Z|[A-Za-z0-9]{48}\Z")
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")

ITEM_PREFIXES: Final = MappingProxyType(
    {
        "message": "msg",
        "output_message": "om",
        "reasoning": "rs",
        "function_call": "fc",
        "function_call_output": "fco",
        "custom_tool_call": "ctc",
        "custom_tool_call_output": "ctco",
        "file_search_call": "fs",
        "web_search_call": "ws",
        "code_interpreter_call": "ci",
        "image_generation_call": "ig",
        "mcp_list_tools": "mcpl",
        "mcp_call": "mcp",
        "mcp_approval_request": "mcpr",
        "mcp_approval_response": "mcpa",
        "computer_call": "cu",
        "computer_call_output": "cuo",
        "local_shell_call": "lsh",
        "local_shell_call_output": "lsho",
        "shell_call": "lsh",
        "shell_call_output": "lsho",
        "apply_patch_call": "ap",
        "apply_patch_call_output": "apo",
        "tool_search_call": "tsc",
        "tool_search_output": "tso",
        "program": "cm",
        "program_output": "cmo",
        "compaction": "cmp",
        "structured_outputs": "fc",
        "workflow_action": "wfa",
    }
)
"""The prefix of an item's id by the item's type (H17.43, items.md section 2); other types take `item`."""


def new_id(prefix: str, hint: str | None = None) -> str:
    """Make an id, in the partition of the id *hint* where it has one.

    Raises:
        InvalidValue: *prefix* is not a letter followed by letters and digits.
    """
    if not _PREFIX.match(prefix):
        raise InvalidValue("prefix", f"has to be a letter followed by letters and digits, got {prefix!r}")
    partition = partition_of(hint) if hint else None
    return f"{prefix}_{partition or os.urandom(8).hex() + '00'}{os.urandom(16).hex()}"


def new_response_id(hint: str | None = None, prefix: str = RESPONSE_PREFIX) -> str:
    """Make the id of a response; *hint* is the id of the response or conversation that it continues (H9.17)."""
    return new_id(prefix, hint)


def new_item_id(item_type: str, response_id: str) -> str:
    """Make the id of an item of *item_type* in the partition of its response."""
    return new_id(ITEM_PREFIXES.get(item_type, "item"), response_id)


def partition_of(identifier: str) -> str | None:
    """Return the 18 characters of partition of an id, or None where it is of another form.

    The older form has 16 of them at its end, which ``00`` makes 18 (H17.41).
    """
    _, _, body = identifier.rpartition("_")
    if not _BODY.match(body):
        return None
    return body[:18] if len(body) == 50 else body[-16:] + "00"


def is_response_id(identifier: str, prefix: str = RESPONSE_PREFIX) -> bool:
    """Tell whether *identifier* has the form of a response's id: prefix, length and alphabet (decision 18)."""
    found, _, body = identifier.partition("_")
    return (found in _ACCEPTED_PREFIXES or found == prefix) and _BODY.match(body) is not None


def id_of(item: object) -> str | None:
    """Return the id of an item, if it has one; an item without cannot be found again (H11.19)."""
    found = getattr(item, "id", None)
    return found if isinstance(found, str) and found else None
