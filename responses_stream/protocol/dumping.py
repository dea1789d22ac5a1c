"""Objects of other packages that can say themselves as plain data, as those of the `openai` package do.

They are known by what they can do: nothing of the `openai` package or of pydantic is imported to read them.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Dumps(Protocol):
    """An object that can say itself as plain data."""

    def model_dump(self, *, mode: str, exclude_unset: bool, by_alias: bool, warnings: bool) -> dict[str, Any]:
        """Return the object as plain data."""


def dumped(value: Dumps) -> dict[str, Any]:
    """Return *value* as plain data, as it stood on the wire: what was not set is absent, what is not known is kept."""
    # The client does not check what it reads; that a value does not fit its type is ours to say, not pydantic's.
    return value.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
