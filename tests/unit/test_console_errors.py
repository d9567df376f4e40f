"""What goes wrong on the command line is told in one clear line, without a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.console.client import describe_problem
from app.console.dialing_rules import NotRules, read_rules_file
from app.console.teams import TeamFileUnreadable, read_team_file
from app.settings import InvalidSettings, Settings

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | variables
    command = [sys.executable, "-m", "app.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("value", "why"), [("abc", "integer"), ("70000", "64000"), ("80", "1024")])
def test_a_port_base_that_cannot_be_is_named(tmp_path: Path, value: str, why: str) -> None:
    ended = run(tmp_path, "status", TRUNKLINE_PORT_BASE=value)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "TRUNKLINE_PORT_BASE" in ended.stderr
    assert why in ended.stderr


def test_a_secret_in_a_bad_setting_is_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_WORKER_MAX_CALLS", "tl_secret")
    with pytest.raises(InvalidSettings) as refused:
        Settings.read(tmp_path / ".env")
    assert "tl_secret" not in str(refused.value.extra)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(tmp_path, "up", TRUNKLINE_HOME="file/home")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "TRUNKLINE_HOME" in ended.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"\n \n", "is empty"), (b"\xff\xfe\x00", "is not text"), (b"a\0b", "is not text")],
)
def test_a_file_that_is_no_team_file_is_refused_in_plain_words(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "team.yaml"
    file.write_bytes(content)
    with pytest.raises(TeamFileUnreadable, match=says):
        read_team_file(file)


def test_a_detail_that_is_what_the_only_fault_says_is_told_once() -> None:
    said = "Unknown kinds of events: nope."
    problem = {"detail": said, "errors": [{"path": "events", "message": said}]}
    assert describe_problem(422, json.dumps(problem)) == said


def test_a_file_that_is_not_there_is_told_without_a_word_of_the_home(tmp_path: Path) -> None:
    ended = run(tmp_path, "rules", "set", "/nope/rules.json")
    assert ended.returncode in (1, 2)
    assert "TRUNKLINE_HOME" not in ended.stderr
    assert "/nope/rules.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_rules_are_read_with_the_mark_that_windows_editors_begin_a_file_with(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert read_rules_file(file) == "{}"
    file.write_bytes(b"\xff\xfe{\0}\0")
    with pytest.raises(NotRules, match="is not text in UTF-8"):
        read_rules_file(file)


def test_a_fault_without_a_path_is_told_once() -> None:
    said = describe_problem(
        422,
        '{"detail": "The team file has a fault:\\n  a team file is a mapping", '
        '"errors": [{"path": "", "message": "a team file is a mapping"}]}',
    )
    assert said.count("a team file is a mapping") == 1
