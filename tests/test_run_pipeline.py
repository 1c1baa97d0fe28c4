"""The command line as a shell sees it: one line, the right exit code, nothing imported in vain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.queries.people import people
from pipeline.store.open_store import open_store
from tests.store_scene import fill
from tests.video_files import picture, write_pictures

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, str(ROOT / "run_pipeline.py")]


def call(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, input=typed, capture_output=True, text=True, timeout=120)


def test_an_error_is_one_line_however_long(tmp_path: Path) -> None:
    answer = call("query", "people", "--db", tmp_path / ("x" * 90) / "none.db")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1 and "no such database" in answer.stderr


def test_a_demo_in_a_file_instead_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    answer = call("demo", "--out", tmp_path / "notes.txt")
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1 and "notes.txt" in answer.stderr


def test_a_query_does_not_load_the_network(tmp_path: Path) -> None:
    arguments = ["query", "people", "--db", str(fill(tmp_path / "a.db"))]
    code = (
        f"import sys, runpy; sys.argv = ['run_pipeline.py', *{arguments!r}]\n"
        f"try: runpy.run_path({str(ROOT / 'run_pipeline.py')!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code and 'torch' not in sys.modules"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("after_s", [0.4, 0.7, 1.0])  # before that Python itself is starting
def test_ctrl_c_while_it_starts_leaves_no_traceback(tmp_path: Path, after_s: float) -> None:
    run = subprocess.Popen(
        [*COMMAND, "find", "--db", str(tmp_path / "a.db"), "--image", "none.jpg"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after_s)
    os.kill(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert "Traceback" not in said


def test_weights_the_database_was_not_made_with_are_said_in_one_line(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", [picture(0)])
    answer = call("find", "--db", fill(tmp_path / "a.db"), "--image", folder / "1.png")
    assert answer.returncode == 2
    assert (
        answer.stderr.splitlines()[-1].endswith("run again with --fresh")
        and "other weights (fpr-test)" in answer.stderr
    )


def test_a_photograph_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    answer = call("find", "--db", fill(tmp_path / "a.db"), "--image", tmp_path / "none.jpg")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1 and "none.jpg: no such file" in answer.stderr


def test_a_query_that_finds_nobody_exits_with_one_and_still_prints_its_json(tmp_path: Path) -> None:
    database = fill(tmp_path / "a.db")
    later = call("query", "tracks", "--db", database, "--from", "2030-01-01", "--json")
    assert later.returncode == 1 and json.loads(later.stdout) == {"tracks": [], "version": 1, "next": None}
    with open_store(tmp_path / "empty.db", create=True, write=True):
        pass
    nobody = call("query", "people", "--db", tmp_path / "empty.db")
    assert (nobody.returncode, nobody.stdout) == (1, "nobody was found\n")


def test_reversed_times_are_wrong_usage(tmp_path: Path) -> None:
    answer = call("query", "tracks", "--db", fill(tmp_path / "a.db"), "--from", "5", "--to", "3")
    assert (answer.returncode, answer.stderr) == (2, "--from 5 is later than --to 3\n")


def test_a_file_as_the_folder_of_pictures_is_wrong_usage(tmp_path: Path) -> None:
    database = fill(tmp_path / "a.db")
    answer = call("render", "--db", database, "--out", database)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1) and "is a file" in answer.stderr


def test_without_a_live_run_status_is_one_line_even_for_programs(tmp_path: Path) -> None:
    answer = call("status", "--json", "--db", fill(tmp_path / "a.db"))
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (1, "", 1)
    assert "no live run goes on" in answer.stderr and "no such" not in answer.stderr
    nowhere = call("status", "--db", str(tmp_path / "typo.db"))
    assert nowhere.returncode == 1 and "typo.db: no such database" in nowhere.stderr


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_who_does_not_say_yes_erases_nothing_and_is_told_so(tmp_path: Path, typed: str) -> None:
    database = fill(tmp_path / "a.db")
    answer = call("forget", "P1", "--db", database, typed=typed)
    assert answer.returncode == 1 and answer.stderr.endswith("nothing was erased\n")
    with open_store(database) as store:
        assert len(people(store).people) == 3


@pytest.mark.parametrize("command", [["check"], ["run", "--db", "out.db"]])
def test_a_configuration_without_cameras_is_refused(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "site.yaml").write_text("timezone: Europe/Berlin\n")
    answer = call(command[0], tmp_path / "site.yaml", *command[1:])
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1
    assert "no cameras: list them under `cameras`" in answer.stderr
