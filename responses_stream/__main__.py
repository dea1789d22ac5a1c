"""``python -m responses_stream``: the same as ``responses-stream``."""

from __future__ import annotations

import sys

from responses_stream.cli import main

if __name__ == "__main__":
    sys.exit(main())
