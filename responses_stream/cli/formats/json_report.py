"""JSON: the verdict as an object; several as a list of them, each with its source."""

from __future__ import annotations

import json

from responses_stream.cli.formats.writer import Writer


class JsonWriter(Writer):
    """Writes one JSON document, in ASCII, so that no terminal and no pipe can damage it."""

    def close(self) -> None:
        """Write the document."""
        found = [verdict.as_dict() for verdict in self.verdicts]
        if len(found) > 1:
            found = [{"source": str(verdict.source), **one} for verdict, one in zip(self.verdicts, found, strict=True)]
        json.dump(found[0] if len(found) == 1 else found, self.out, indent=2)
        self.out.write("\n")
