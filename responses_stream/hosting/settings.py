"""Where options come from: arguments, the environment, a TOML file and a command line, read into one object.

`ResponsesServerOptions` is the only list of options. A `Setting` is one of its attributes and what it is called
elsewhere, derived from its name: ``max_json_depth`` is the variable ``RESPONSES_MAX_JSON_DEPTH``, the key
``max_json_depth`` in the table ``[responses-stream]`` of a file, and the flag ``--max-json-depth``. Where the platform
has a name for a variable (H14.3), the attribute says so.

For each option one source counts: the command line, else an argument, else the environment, else the file, else the
default. What that source says has to fit, or nothing starts (H14.23); what the others say is not looked at. What a text
or a value of TOML means is the business of `option_values.py`.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs

from responses_stream.errors import InvalidType, InvalidValue, ResponsesStreamError
from responses_stream.hosting.option_values import structure
from responses_stream.hosting.options import ResponsesServerOptions

CONFIG_VARIABLE: Final = "RESPONSES_CONFIG"
"""The environment variable that names the file, where nobody else does."""

TABLE: Final = "responses-stream"
"""The table of options in a TOML file; in a ``pyproject.toml`` it is ``tool.responses-stream``."""

_NOTHING: Final[Mapping[str, str]] = {}
_TOPIC: Final = re.compile(r"Attributes of (.+):")
_MEANING: Final = re.compile(r"    (\w+): (.+)")


class BadOption(ResponsesStreamError, ValueError):
    """A source of options says something that cannot be. No server was made or changed.

    Attributes:
        option: the name of the option, or what was taken for one.
        source: who says it: ``environment variable PORT``, ``--port``, ``key port of responses.toml`` or ``argument``.
        reason: what is expected and what is there.
    """

    def __init__(self, option: str, source: str, reason: str) -> None:
        self.option, self.source, self.reason = option, source, reason
        super().__init__(f"{option}: {reason} ({source})")


class BadOptionsFile(ResponsesStreamError, ValueError):
    """A file of options cannot be used as a whole. No server was made or changed.

    Attributes:
        path: the file.
        reason: what is wrong with it.
        source: the environment variable that names it; empty where the caller does.
    """

    def __init__(self, path: str, reason: str, source: str = "") -> None:
        self.path, self.reason, self.source = path, reason, source
        named = f" (named by environment variable {source})" if source else ""
        super().__init__(f"{path}: {reason}{named}")


@attrs.frozen(kw_only=True)
class Setting:
    """One option, and what it is called wherever it can be set.

    Attributes:
        name: the attribute of `ResponsesServerOptions`, and the key in a file.
        type: what it holds.
        default: what it is where nobody sets it.
        variables: the environment variables that set it; the first that is there counts.
        topic: what it belongs to, such as ``streams``; empty where docstrings are stripped.
        meaning: what it does, in one sentence; empty where docstrings are stripped.
    """

    name: str
    type: object
    default: object
    variables: tuple[str, ...]
    topic: str
    meaning: str

    @property
    def flag(self) -> str:
        """The flag that sets it on a command line."""
        return f"--{self.name.replace('_', '-')}"

    def read(self, value: object, source: str) -> object:
        """Return what *value*, a text or a value of TOML, means for this option.

        Raises:
            BadOption: it is not of the type of the option. Whether it is in range is for the options to say.
        """
        try:
            return structure(value, self.type)
        except ValueError as error:
            raise BadOption(self.name, source, f"expected {error}, got {value!r}") from None


@cache
def settings() -> tuple[Setting, ...]:
    """Return all options in the order of their class."""
    types_of = typing.get_type_hints(ResponsesServerOptions)
    told = dict(_documented(inspect.getdoc(ResponsesServerOptions) or ""))
    return tuple(
        Setting(
            name=field.name,
            type=types_of[field.name],
            default=field.default,
            variables=_variables(field),
            topic=told.get(field.name, ("", ""))[0],
            meaning=told.get(field.name, ("", ""))[1],
        )
        for field in attrs.fields(ResponsesServerOptions)
    )


def load_options(
    *,
    arguments: Mapping[str, object] = _NOTHING,
    environment: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
    command_line: Mapping[str, str] = _NOTHING,
) -> ResponsesServerOptions:
    """Make options of all that is said about them; the module tells which source counts.

    Args:
        arguments: values as `ResponsesServerOptions` takes them, by name.
        environment: environment variables, by default those of the process.
        file: a TOML file; without it, the one that the variable ``RESPONSES_CONFIG`` names, if it does.
        command_line: the texts of flags, by the name of the option.

    Raises:
        BadOption: a value does not fit, or there is no such option. The error names the option and the source.
        BadOptionsFile: the file cannot be read, is no TOML, or has no table of options.
    """
    variables = os.environ if environment is None else environment
    config = variables.get(CONFIG_VARIABLE, "").strip()
    if file is not None:
        path, table = _read(Path(file))
    elif config:
        path, table = _read(Path(config), CONFIG_VARIABLE)
    else:
        path, table = "", {}
    _check_names(arguments, lambda _: "argument")
    _check_names(command_line, lambda _: "command line")
    _check_names(table, lambda name: f"key {name} of {path}")

    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in settings():
        name = setting.name
        variable = next((variable for variable in setting.variables if variable in variables), None)
        if name in command_line:
            sources[name] = setting.flag
            values[name] = setting.read(command_line[name], sources[name])
        elif name in arguments:
            sources[name], values[name] = "argument", arguments[name]
        elif variable is not None:
            sources[name] = f"environment variable {variable}"
            values[name] = setting.read(variables[variable], sources[name])
        elif name in table:
            sources[name] = f"key {name} of {path}"
            values[name] = setting.read(table[name], sources[name])
    try:
        return ResponsesServerOptions(**values)
    except InvalidType as error:
        reason = f"expected {error.expected}, got {error.got}"
        raise BadOption(error.argument, sources[error.argument], reason) from None
    except InvalidValue as error:
        raise BadOption(error.argument, sources[error.argument], error.reason) from None


def override(
    options: ResponsesServerOptions,
    *,
    environment: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
    command_line: Mapping[str, str] = _NOTHING,
) -> ResponsesServerOptions:
    """Return the *options* of a program with what is said around it.

    An option that differs from its default counts as an argument: only the command line wins over it. One that has its
    default counts as not given, also where the program wrote the default out, since that cannot be told.

    Raises:
        BadOption: as `load_options` does.
        BadOptionsFile: as `load_options` does.
    """
    chosen = {setting.name: getattr(options, setting.name) for setting in settings()}
    arguments = {
        setting.name: chosen[setting.name] for setting in settings() if chosen[setting.name] != setting.default
    }
    return load_options(arguments=arguments, environment=environment, file=file, command_line=command_line)


def _variables(field: attrs.Attribute[Any]) -> tuple[str, ...]:
    named: str | tuple[str, ...] = field.metadata.get("env", f"RESPONSES_{field.name.upper()}")
    return (named,) if isinstance(named, str) else named


def _documented(documentation: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each option that a docstring tells of, with its topic and its meaning."""
    topic = name = ""
    words: list[str] = []
    for line in (*documentation.splitlines(), ""):
        if name and line.startswith(" " * 8):
            words.append(line.strip())
            continue
        if name:
            yield name, (topic, " ".join(words))
            name = ""
        if heading := _TOPIC.fullmatch(line):
            topic = heading[1]
        elif not line.startswith(" ") and line:
            topic = ""
        elif topic and (member := _MEANING.fullmatch(line)):
            name, words = member[1], [member[2]]


def _read(path: Path, source: str = "") -> tuple[str, Mapping[str, object]]:
    """Return the name of a file and its table of options.

    Raises:
        BadOptionsFile: it cannot be read, is no TOML, or has no such table.
    """
    try:
        with path.open("rb") as opened:
            found: object = tomllib.load(opened)
    except OSError as error:
        raise BadOptionsFile(str(path), f"cannot be read: {error.strerror or error}", source) from None
    except ValueError as error:
        raise BadOptionsFile(str(path), f"is not TOML: {error}", source) from None
    tables = ("tool", TABLE) if path.name == "pyproject.toml" else (TABLE,)
    for key in tables:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise BadOptionsFile(str(path), f"has no table [{'.'.join(tables)}]", source)
    return str(path), found


def _check_names(names: Iterable[str], source_of: Callable[[str], str]) -> None:
    """Refuse what is no option.

    Raises:
        BadOption: with the names that are closest.
    """
    known = [setting.name for setting in settings()]
    for name in names:
        if name not in known:
            closest = difflib.get_close_matches(name.replace("-", "_").lower(), known)
            hint = f"closest: {', '.join(closest)}" if closest else "docs/options.md lists them"
            raise BadOption(name, source_of(name), f"there is no such option; {hint}")
