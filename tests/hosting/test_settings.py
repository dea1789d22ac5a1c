"""Options from arguments, the environment, a file and a command line: who wins, and what is said of a bad one."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from responses_stream import ResponsesServerOptions
from responses_stream.cli import serve
from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.settings import BadOption, BadOptionsFile, Setting, load_options, override, settings

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "options.md"
CHOICES: Final = {"keep_alive": ("comment", "event", "auto", "off"), "on_failure": ("keep", "drop")}


def written(place: Path, content: str, name: str = "responses.toml") -> Path:
    path = place / name
    path.write_text(content, encoding="utf-8")
    return path


def test_every_name_of_an_option_is_its_own() -> None:
    """H14.3: the platform's names where there are some, else one rule."""
    variables = [variable for setting in settings() for variable in setting.variables]
    assert len(set(variables)) == len(variables)
    assert {v for v in variables if not v.startswith("RESPONSES_")} == {
        "PORT",
        "SSE_KEEPALIVE_INTERVAL",
        "DEFAULT_FETCH_HISTORY_ITEM_COUNT",
        "FOUNDRY_AGENT_SESSION_ID",
        "AGENTSERVER_GRACEFUL_SHUTDOWN_TIMEOUT_SECONDS",
    }
    for setting in settings():
        assert setting.flag == f"--{setting.name.replace('_', '-')}"
        own = f"RESPONSES_{setting.name.upper()}"
        assert own in setting.variables or not setting.variables[0].startswith("RESPONSES_")


def test_every_option_is_documented_in_its_class() -> None:
    assert [setting.name for setting in settings()] == [field.name for field in attrs.fields(ResponsesServerOptions)]
    for setting in settings():
        assert setting.topic, setting.name
        assert setting.meaning.endswith("."), setting.name


def test_the_page_lists_every_option_as_it_is() -> None:
    """The table of docs/options.md is the class, in its order and with its topics."""

    def shown(value: object) -> str:
        if value in (None, ()):
            return "none"
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"

    lines = PAGE.read_text(encoding="utf-8").splitlines()
    expected: list[str] = []
    for topic, members in itertools.groupby(settings(), key=lambda setting: setting.topic):
        expected.append(f"## {topic[0].upper()}{topic[1:]}")
        for setting in members:
            variables = ", ".join(f"`{variable}`" for variable in setting.variables)
            meaning = setting.meaning.replace("``", "`")
            expected.append(
                f"| `{setting.name}` | {shown(setting.default)} | {variables} | `{setting.flag}` | {meaning} |"
            )
    assert [line for line in lines if line.startswith(("## ", "| `"))] == expected


@pytest.mark.parametrize("said", [said for n in range(5) for said in itertools.combinations(range(4), n)])
def test_the_command_line_wins_then_arguments_then_the_environment_then_the_file(
    said: tuple[int, ...], tmp_path: Path
) -> None:
    path = written(tmp_path, f"[responses-stream]\n{'port = 4' if 3 in said else ''}")
    loaded = load_options(
        command_line={"port": "1"} if 0 in said else {},
        arguments={"port": 2} if 1 in said else {},
        environment={"PORT": "3"} if 2 in said else {},
        file=path,
    )
    assert loaded.port == (min(said) + 1 if said else 8088)
    assert attrs.evolve(loaded, port=8088) == ResponsesServerOptions()


def test_what_a_program_chose_wins_over_all_but_the_command_line(tmp_path: Path) -> None:
    """Design section 4: command line over constructor over environment. A default counts as not chosen."""
    path = written(tmp_path, "[responses-stream]\nhost = 'of-the-file'\nport = 4\ntransport = 'of-the-file'")
    chosen = ResponsesServerOptions(host="of-the-program", port=8088, id_prefix="mine", sse_done_marker=False)
    options = override(
        chosen,
        environment={"PORT": "3", "RESPONSES_HOST": "of-the-environment", "RESPONSES_ID_PREFIX": "theirs"},
        file=path,
        command_line={"id_prefix": "flagged"},
    )
    assert options == ResponsesServerOptions(
        host="of-the-program", port=3, id_prefix="flagged", sse_done_marker=False, transport="of-the-file"
    )
    assert override(chosen, environment={}) == chosen


def test_without_an_environment_it_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """H14.9, H14.11."""
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.delenv("RESPONSES_CONFIG", raising=False)
    for loaded in (load_options(), ResponsesServerOptions.from_environment(), override(ResponsesServerOptions())):
        assert loaded.port == 1234
    assert ResponsesServerOptions.from_environment({}) == ResponsesServerOptions()
    assert ResponsesServerOptions().port == 8088


def test_the_first_of_two_variables_counts() -> None:
    """H14.20: the platform's name for the grace of a shutdown is understood beside ours."""
    theirs = {"AGENTSERVER_GRACEFUL_SHUTDOWN_TIMEOUT_SECONDS": "25"}
    assert load_options(environment=theirs).shutdown_grace_period_seconds == 25
    both = {**theirs, "RESPONSES_SHUTDOWN_GRACE_PERIOD_SECONDS": "5"}
    assert load_options(environment=both).shutdown_grace_period_seconds == 5


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(("sse_done_marker", text, False) for text in ("0", "false", "No", "OFF", " off ")),
        *(("open_responses_reasoning", text, True) for text in ("1", "TRUE", "Yes", "on")),
        # H14.12: unset, blank or 0 is off.
        *(("sse_keep_alive_interval_seconds", text, None) for text in ("", " ", "0", "0.0")),
        ("sse_keep_alive_interval_seconds", "2.5", 2.5),
        ("run_timeout_seconds", "0", None),
        ("run_timeout_seconds", "60", 60.0),
        ("models", "a, b,,c ", ("a", "b", "c")),
        ("models", "", ()),
        ("default_model", " ", None),
        ("additional_server_version", " mine/1 ", "mine/1"),
        ("agent_session_id", "", None),
        ("store", "", None),
        ("prefix", "api/", "/api"),
        ("port", " 80 ", 80),
        ("fd", "", None),
        ("fd", "0", 0),
        ("fd", " 3 ", 3),
        ("unix_socket", " ", None),
        ("websocket", "no", False),
        ("keep_alive", "Off", "off"),
        ("default_fetch_history_count", "-1", -1),
    ],
)
def test_a_text_is_understood(name: str, text: str, value: object) -> None:
    [setting] = [setting for setting in settings() if setting.name == name]
    assert getattr(load_options(environment={setting.variables[0]: text}), name) == value
    assert getattr(load_options(environment={}, command_line={name: text}), name) == value


BAD: Final[list[tuple[str, str, str]]] = [
    ("port", "80a", "expected a whole number, got '80a'"),
    ("port", "", "expected a whole number, got ''"),
    ("fd", "x", "expected a whole number, got 'x'"),
    ("fd", "-1", "must not be negative, got -1"),
    ("workers", "0", "has to be at least 1, got 0"),
    ("websocket_seconds", "0", "has to be a number of seconds above 0, got 0.0"),
    ("port", "65536", "has to be between 0 and 65535, got 65536"),
    ("max_body_bytes", "1.5", "expected a whole number, got '1.5'"),
    ("max_body_bytes", "0", "has to be at least 1, got 0"),
    ("default_fetch_history_count", "0", "has to be at least 1, or -1 for all, got 0"),
    ("sse_keep_alive_interval_seconds", "soon", "expected a number, got 'soon'"),
    ("sse_keep_alive_interval_seconds", "-1", "has to be a number of seconds above 0, got -1.0"),
    ("cancel_grace_seconds", "0", "has to be a number of seconds above 0, got 0.0"),
    ("idle_seconds", "nan", "has to be a number of seconds above 0, got nan"),
    ("sse_done_marker", "maybe", "expected true or false, got 'maybe'"),
    ("keep_alive", "loud", "expected comment, event, auto or off, got 'loud'"),
    ("on_failure", "", "expected keep or drop, got ''"),
    ("id_prefix", "a_b", "has to be a letter followed by letters and digits, got 'a_b'"),
    ("host", " ", "must not be blank, got ' '"),
    ("agent_session_id", "a\nb", "goes into a header and may hold printable ASCII only, got 'a\\nb'"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BAD)
def test_a_bad_text_is_told_with_its_option_and_its_source(name: str, text: str, reason: str) -> None:
    """H14.23: at start, not at first use."""
    [setting] = [setting for setting in settings() if setting.name == name]
    variable = setting.variables[0]
    with pytest.raises(BadOption) as refused:
        load_options(environment={variable: text})
    error = refused.value
    assert isinstance(error, ResponsesStreamError)
    assert isinstance(error, ValueError)
    assert (error.option, error.source, error.reason) == (name, f"environment variable {variable}", reason)
    assert str(error) == f"{name}: {reason} (environment variable {variable})"
    with pytest.raises(BadOption) as refused:
        load_options(environment={}, command_line={name: text})
    assert str(refused.value) == f"{name}: {reason} ({setting.flag})"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("port = 'high'", "expected a whole number, got 'high'"),
        ("port = true", "expected a whole number, got True"),
        ("port = 80.5", "expected a whole number, got 80.5"),
        ("port = -1", "has to be between 0 and 65535, got -1"),
        ("idle_seconds = inf", "has to be a number of seconds above 0, got inf"),
        ("idle_seconds = false", "expected a number, got False"),
        ("sse_done_marker = 1", "expected true or false, got 1"),
        ("default_model = 3", "expected a string, got 3"),
        ("keep_alive = []", "expected a string, got []"),
        ("models = 3", "expected strings, got 3"),
        ("models = ['a', 3]", "expected a string, got ['a', 3]"),
        ("models = ['a', ' ']", "must not hold a blank name, got ' '"),
        ("store = 2026-01-01", "expected a string, got datetime.date(2026, 1, 1)"),
    ],
)
def test_a_bad_value_of_a_file_is_told_with_its_key_and_the_file(content: str, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"[responses-stream]\n{content}")
    name = content.partition(" ")[0]
    with pytest.raises(BadOption) as refused:
        load_options(environment={}, file=path)
    assert str(refused.value) == f"{name}: {reason} (key {name} of {path})"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"port": "80"}, "expected a whole number, got str"),
        ({"port": 65536}, "has to be between 0 and 65535, got 65536"),
        ({"models": "tutor"}, "expected a sequence of strings, got str"),
        ({"sse_keep_alive_interval_seconds": 0}, "has to be a number of seconds above 0, got 0"),
    ],
)
def test_arguments_are_not_texts_and_are_told_as_arguments(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadOption) as refused:
        load_options(arguments=arguments, environment={})
    assert str(refused.value) == f"{next(iter(arguments))}: {reason} (argument)"


def test_what_is_no_option_is_refused_with_the_closest(tmp_path: Path) -> None:
    path = written(tmp_path, "[responses-stream]\nmax-json-depht = 3", "{braces}.toml")
    with pytest.raises(BadOption) as refused:
        load_options(environment={}, file=path)
    assert refused.value.option == "max-json-depht"
    assert refused.value.source == f"key max-json-depht of {path}"
    assert refused.value.reason.startswith("there is no such option; closest: max_json_depth")
    with pytest.raises(BadOption, match=r"qqq: there is no such option; docs/options.md lists them \(argument\)"):
        load_options(arguments={"qqq": 3}, environment={})
    with pytest.raises(BadOption, match=r"prot: there is no such option; closest: .*port.* \(command line\)"):
        load_options(command_line={"prot": "3"}, environment={})


def test_the_environment_may_name_the_file_and_an_argument_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "[responses-stream]\nport = 1\nmodels = ['a', 'b']\nidle_seconds = 3\n[other]\nkey = 1")
    other = written(tmp_path, "[responses-stream]\nport = 2", "other.toml")
    environment = {"RESPONSES_CONFIG": str(path)}
    assert load_options(environment=environment) == ResponsesServerOptions(port=1, models=("a", "b"), idle_seconds=3)
    assert load_options(environment=environment, file=str(other)) == ResponsesServerOptions(port=2)
    assert load_options(environment={"RESPONSES_CONFIG": " "}) == ResponsesServerOptions()


def test_of_a_pyproject_it_is_the_table_of_the_tool(tmp_path: Path) -> None:
    content = "[tool.responses-stream]\nport = 1\n[responses-stream]\nport = 2"
    assert load_options(environment={}, file=written(tmp_path, content, "pyproject.toml")).port == 1
    assert load_options(environment={}, file=written(tmp_path, content)).port == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("responses.toml", None, "cannot be read: No such file or directory"),
        ("responses.toml", b"port =", "is not TOML: Invalid value"),
        ("responses.toml", b"a = '\xff'", "is not TOML: 'utf-8' codec can't decode"),
        ("responses.toml", b"port = 1", r"has no table [responses-stream]"),
        ("responses.toml", b"responses-stream = 1", r"has no table [responses-stream]"),
        ("pyproject.toml", b"[responses-stream]", r"has no table [tool.responses-stream]"),
        ("pyproject.toml", b"tool = 1", r"has no table [tool.responses-stream]"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(name: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadOptionsFile) as refused:
        load_options(environment={}, file=path)
    assert str(refused.value).startswith(f"{path}: {reason}")
    assert (refused.value.path, refused.value.source) == (str(path), "")
    with pytest.raises(BadOptionsFile, match=r"\(named by environment variable RESPONSES_CONFIG\)$"):
        load_options(environment={"RESPONSES_CONFIG": str(path)})


# A line has no surrogates, and a file none either.
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LINES: Final = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
NAMES: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), max_size=8).filter(str.strip)
SECONDS: Final = st.floats(0, exclude_min=True, allow_infinity=False) | st.integers(1, 10**6)
BY_NAME: Final[Mapping[str, st.SearchStrategy[object]]] = {
    "models": st.lists(NAMES, max_size=3),
    "id_prefix": st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True),
    "additional_server_version": st.none() | LINES,
    "agent_session_id": st.none() | LINES,
    "default_fetch_history_count": st.just(-1) | st.integers(1),
    "host": TEXTS.filter(str.strip),
    "port": st.integers(0, 65535),
    "store": st.sampled_from([None, "memory:", "sqlite:///here.sqlite3", "sqlite:////tmp/ü b.sqlite3"]),
    **{name: st.sampled_from(choices) for name, choices in CHOICES.items()},
}
BY_TYPE: Final[list[tuple[object, st.SearchStrategy[object]]]] = [
    (bool, st.booleans()),
    (int, st.integers(1)),
    (float, SECONDS),
    (float | None, st.none() | SECONDS),
    (int | None, st.none() | st.integers(0)),
    (str | None, st.none() | TEXTS),
]


def values_of(setting: Setting) -> st.SearchStrategy[object]:
    if setting.name in BY_NAME:
        return BY_NAME[setting.name]
    return next(found for kind, found in BY_TYPE if kind == setting.type)


OPTIONS: Final = st.builds(ResponsesServerOptions, **{setting.name: values_of(setting) for setting in settings()})


def text_of(value: object) -> str:
    """What somebody would write into a variable or after a flag."""
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def toml_of(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_of, value))}]"
    if value is None or isinstance(value, str):
        return '"' + re.sub(r"[^ !#-\[\]-~]", lambda found: f"\\U{ord(found[0]):08x}", value or "") + '"'
    return repr(value)


@hypothesis_settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(OPTIONS)
def test_any_options_survive_the_environment_a_file_and_a_command_line(
    tmp_path: Path, options: ResponsesServerOptions
) -> None:
    values = {setting: getattr(options, setting.name) for setting in settings()}
    environment = {setting.variables[0]: text_of(value) for setting, value in values.items()}
    assert load_options(environment=environment) == options

    content = "\n".join(f"{setting.name} = {toml_of(value)}" for setting, value in values.items())
    path = written(tmp_path, f"[responses-stream]\n{content}")
    assert load_options(environment={}, file=path) == options

    parser = argparse.ArgumentParser()
    serve.add_command(parser.add_subparsers())
    chosen = parser.parse_args(
        ["serve", "app", *(f"{setting.flag}={text_of(value)}" for setting, value in values.items())]
    )
    line = {setting.name: getattr(chosen, setting.name) for setting in settings()}
    assert load_options(environment={}, command_line=line) == options
    assert override(ResponsesServerOptions(), environment={}, command_line=line) == options

    assert load_options(environment={}, arguments=attrs.asdict(options)) == options
    assert override(options, environment={}) == options
    assert attrs.evolve(options) == options
