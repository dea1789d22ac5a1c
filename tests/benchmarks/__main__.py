"""``make bench``: every figure that an issue asks for, as a ratio of one run. Exits with 1 when a promise is broken."""

from __future__ import annotations

import sys

from tests.benchmarks import bursts, deltas, growing, idle, imports, relaying, shared_stores, transports, validating


def main() -> int:
    broken = 0
    for module in (deltas, imports, validating, relaying, bursts, growing, idle, shared_stores, transports):
        for promise in module.promises():
            print(promise, flush=True)
            broken += not promise.kept
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
