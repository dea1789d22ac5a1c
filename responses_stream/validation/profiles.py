"""The profiles: five ways to read the same stream, and what they mean for the severity of a rule."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Severity: TypeAlias = Literal["error", "warning", "off"]
"""What the breach of a rule means: a client breaks or data is lost, it is odd, or nothing."""

Profile: TypeAlias = Literal["strict", "lenient", "openai", "open-responses", "azure"]
"""How a stream is read: as a well-behaved server writes it, as a reader should still take it, or as one family does."""

PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)
