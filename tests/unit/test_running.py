"""Which stack is meant, in the documented order of precedence, and what is said of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rebalancer.config import running_stack
from rebalancer.config.running_stack import Origin, RunningStack, decide
from rebalancer.domain.errors import ConfigurationError, NothingRuns

URLS = {"DATABASE_URL": "postgresql://stack/x", "REDIS_URL": "redis://stack:1/0"}
OTHER = {"DATABASE_URL": "postgresql://other/x", "REDIS_URL": "redis://other:1/0"}
PLACES = dict.fromkeys(URLS, ".env:3")


@pytest.fixture(autouse=True)
def _nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(running_stack.CHOICE)
    running_stack.choose(None)
    yield
    running_stack.choose(None)


@pytest.fixture
def stack(tmp_path: Path) -> RunningStack:
    folder = tmp_path / ".rebalancer"
    folder.mkdir()
    (folder / "world").write_text("sandbox\n")
    return RunningStack(folder, tmp_path, URLS)


def test_without_settings_the_running_stack_is_used(stack: RunningStack) -> None:
    origin = decide(stack, {}, {})
    assert origin == Origin(stack, {})
    assert origin.line() == "Using the stack that runs in .rebalancer (sandbox)."
    assert "rebalancer ps --data .rebalancer" in origin.remedy()


@pytest.mark.parametrize("named", [("DATABASE_URL",), ("REDIS_URL",), ("DATABASE_URL", "REDIS_URL")])
def test_settings_that_agree_leave_the_rest_to_the_stack(stack: RunningStack, named: tuple[str, ...]) -> None:
    urls = {name: URLS[name] for name in named}
    assert decide(stack, urls, dict.fromkeys(named, ".env:3")).stack is stack


@pytest.mark.parametrize("named", [("DATABASE_URL",), ("REDIS_URL",), ("DATABASE_URL", "REDIS_URL")])
def test_settings_that_name_others_win_and_that_is_said(stack: RunningStack, named: tuple[str, ...]) -> None:
    places = dict.fromkeys(named, ".env:3")
    origin = decide(stack, {name: OTHER[name] for name in named}, places)
    assert (origin.stack, origin.passed_over) == (None, stack)
    assert origin.line().endswith(f"{named[-1]} (.env:3), not the stack that runs in .rebalancer (sandbox).")
    assert "does the server run" in origin.remedy()


def test_what_was_typed_is_never_passed_over_in_silence(stack: RunningStack) -> None:
    running_stack.choose(stack.folder)
    with pytest.raises(ConfigurationError, match=r"--data .* and DATABASE_URL \(.env:3\) name different servers"):
        decide(stack, {"DATABASE_URL": OTHER["DATABASE_URL"]}, PLACES)
    assert decide(stack, URLS, PLACES).stack is stack


@pytest.mark.parametrize("by", ["--data", running_stack.CHOICE])
def test_a_chosen_folder_in_which_nothing_runs_is_an_error(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "--data":
        running_stack.choose(tmp_path / "mine")
    else:
        monkeypatch.setenv(by, str(tmp_path / "mine"))
    for urls in ({}, {"DATABASE_URL": URLS["DATABASE_URL"]}):
        with pytest.raises(NothingRuns, match=rf"nothing runs in .*mine \({by}\): start it with `rebalancer up --data"):
            decide(None, urls, PLACES)
    assert decide(None, URLS, PLACES).stack is None


def test_the_remedy_for_nothing_names_what_was_tried() -> None:
    remedy = decide(None, {}, {}).remedy()
    for tried in (".rebalancer", ".rebalancer/demo", "DATABASE_URL", "`rebalancer up`", "--data"):
        assert tried in remedy


def test_a_chosen_folder_goes_before_one_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_stack.folder_here() == running_stack.DEFAULT
    monkeypatch.setenv(running_stack.CHOICE, "by-environment")
    assert running_stack.folder_here() == Path("by-environment")
    running_stack.choose(tmp_path / "typed")
    assert running_stack.folder_here() == tmp_path / "typed"


def _pid_file(folder: Path, pid: int) -> Path:
    folder.mkdir()
    (folder / running_stack.PID_FILE).write_text(f"{pid}\n")
    return folder


def test_what_has_ended_is_not_found_whoever_has_its_pid_now(tmp_path: Path) -> None:
    ended = 4_194_303
    for name, pid in (("ended", ended), ("strangers", os.getpid()), ("first", 1)):
        assert running_stack.running_in(_pid_file(tmp_path / name, pid)) is None
    for name, text in (("empty", ""), ("broken", "x\n")):
        (_pid_file(tmp_path / name, 1) / running_stack.PID_FILE).write_text(text)
        assert running_stack.running_in(tmp_path / name) is None
    assert running_stack.running_in(tmp_path / "absent") is None


@pytest.mark.parametrize("given", [{running_stack.MARK: "/somewhere"}, {running_stack.CHOICE: os.devnull}])
def test_a_program_of_a_stack_and_who_wants_none_look_for_none(
    given: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    assert running_stack.find() is None


def test_no_secret_is_in_what_is_shown_of_a_stack(stack: RunningStack) -> None:
    assert "redis://" not in f"{stack} {stack!r} {decide(stack, {}, {})!r}"
