"""How a verdict is told: to people, and to the programs that collect reports. One module for each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TextIO

from responses_stream.cli.formats.github import GithubWriter
from responses_stream.cli.formats.human import HumanWriter
from responses_stream.cli.formats.json_report import JsonWriter
from responses_stream.cli.formats.junit import JunitWriter
from responses_stream.cli.formats.sarif import SarifWriter
from responses_stream.cli.formats.writer import Writer

__all__ = ["WRITERS", "GithubWriter", "HumanWriter", "JsonWriter", "JunitWriter", "SarifWriter", "Writer"]

WRITERS: Final[Mapping[str, Callable[[TextIO], Writer]]] = MappingProxyType(
    {
        "human": HumanWriter,
        "json": JsonWriter,
        "sarif": SarifWriter,
        "junit": JunitWriter,
        "github": GithubWriter,
    }
)
"""The formats by the name that ``--format`` takes."""
