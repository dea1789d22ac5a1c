"""``responses-stream explain``: rules, told at the terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from responses_stream.cli import main
from responses_stream.validation import RULES
from responses_stream.validation.guide import explain, listed


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "R014"]) == 0
    assert capsys.readouterr().out == explain(RULES["R014"]) + "\n"


def test_several_rules_are_explained_in_the_order_asked_and_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "r030", "R014", "R030"]) == 0
    assert capsys.readouterr().out == f"{explain(RULES['R030'])}\n\n{explain(RULES['R014'])}\n"


def test_without_an_id_all_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert capsys.readouterr().out.splitlines() == [listed(rule) for rule in RULES.values()]


def test_a_profile_decides_which_severity_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--profile", "open-responses", "R023"]) == 0
    assert "warning in open-responses\n" in capsys.readouterr().out
    assert main(["explain", "--profile", "open-responses"]) == 0
    assert "\nR023  warning  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("R019", "there is no rule R019; the nearest are R017, R018, R021"),
        ("r14", "there is no rule R14; the nearest are R013, R014, R015"),
        ("14", "there is no rule 14; the nearest are R013, R014, R015"),
        ("R999", "there is no rule R999; the nearest are R211, R212, R213"),
        ("RO14", "there is no rule RO14; the nearest are R013, R014, R015"),
        ("order", "there is no rule ORDER; 'responses-stream explain' lists all"),
        ("R0²", "there is no rule R0²; the nearest are R001, R002, R003"),
    ],
)
def test_an_unknown_id_is_told_with_the_nearest(given: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "R001", given]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"responses-stream: {told}\n"


def test_all_unknown_ids_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "R019", "R020"]) == 2
    told = capsys.readouterr().err
    assert "no rule R019" in told
    assert "no rule R020" in told


def test_an_unknown_profile_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--profile", "loose"])
    assert ended.value.code == 2
    assert "invalid choice: 'loose'" in capsys.readouterr().err


def test_it_runs_as_a_command() -> None:
    command = [sys.executable, "-m", "responses_stream", "explain", "r030"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout.startswith("R030  The first event is `response.created`\n")
