"""``responses-stream explain R014``: tells what a rule asks for, what breaks without it, and shows both.

Without an id it lists all rules, so that the one which is meant can be found.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable

from responses_stream.cli.failure import CommandError
from responses_stream.validation.profiles import PROFILES


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``explain`` to the commands."""
    parser = commands.add_parser(
        "explain", help="explain a rule of the validator", description="Explain rules of the validator, or list them."
    )
    parser.add_argument(
        "rules", metavar="RULE", nargs="*", help="the id of a rule, as R014; all are listed without one"
    )
    parser.add_argument("--profile", choices=PROFILES, help="tell the severity in this profile only")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Print what the rules say, and return 0.

    Raises:
        CommandError: an id is none.
    """
    from responses_stream.validation import RULES
    from responses_stream.validation.guide import explain, listed

    ids = [given.upper() for given in chosen.rules]
    unknown = [id for id in ids if id not in RULES]
    if unknown:
        raise CommandError("; ".join(f"there is no rule {id}; {_nearest(id, RULES)}" for id in unknown))
    if not ids:
        print("\n".join(listed(rule, chosen.profile) for rule in RULES.values()))
        return 0
    # A rule that is asked for twice is told once.
    print("\n\n".join(explain(RULES[id], chosen.profile) for id in dict.fromkeys(ids)))
    return 0


def _nearest(id: str, ids: Iterable[str]) -> str:
    number = re.search(r"\d{1,8}", id)
    if number is None:
        return "'responses-stream explain' lists all"
    near = sorted(ids, key=lambda known: abs(int(known[1:]) - int(number[0])))[:3]
    return f"the nearest are {', '.join(sorted(near))}"
