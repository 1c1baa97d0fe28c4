"""What a run leaves behind, however it ends."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from pipeline.store.cameras import add_camera
from pipeline.store.database import Store
from pipeline.store.open_store import open_store
from pipeline.store.recordings import end_recording, start_recording
from pipeline.store.runs import begin_run, end_run, work_owed
from pipeline.store.schema import Recording, Run
from tests.store_scene import recording


def test_a_run_that_ends_leaves_no_recording_running(store: Store) -> None:
    run = begin_run(store, command="run", config={}, software="test")
    done, left = recording(store, "hall", run=run), recording(store, "gate", run=run)
    end_recording(store, done, state="done", frames=9, detected=9)
    end_run(store, run, "failed")
    with store.reading() as connection:
        states = {row.id: row.state for row in connection.execute(select(Recording.id, Recording.state))}
    assert states == {done: "done", left: "interrupted"}


def test_what_a_killed_run_left_running_is_interrupted(store: Store) -> None:
    recording(store, "hall")
    begin_run(store, command="", config={}, software="")
    with store.reading() as connection:
        assert list(connection.scalars(select(Run.state).order_by(Run.id))) == ["interrupted", "running"]
        assert connection.scalar(select(Recording.state)) == "interrupted"


def test_credentials_never_reach_a_row(tmp_path: Path) -> None:
    source = "rtsp://admin:s3cr3t@host/1?token=s3cr3t"
    with open_store(tmp_path / "a.db", create=True, write=True) as store:
        config = {"cameras": [{"name": "hall", "source": source}]}
        run = begin_run(store, command=f"run {source}", config=config, software="")
        camera = add_camera(store, "hall", clock_known=True)
        number = start_recording(store, run=run, camera=camera, source=source, fingerprint=None, start_ns=0)
        end_recording(store, number, state="failed", frames=0, detected=0, message=f"{source}: refused")
    assert b"s3cr3t" not in (tmp_path / "a.db").read_bytes()


def test_what_a_killed_run_owes_is_owed_until_a_run_over_recordings_has_come_to_its_end(store: Store) -> None:
    def run(state: str | None, *, live: bool = False) -> bool:
        number = begin_run(store, command="", config={}, software="")
        if live:
            camera = add_camera(store, "gate", clock_known=True)
            start_recording(store, run=number, camera=camera, source="rtsp://a", fingerprint=None, start_ns=1)
        if state:
            end_run(store, number, state)
        return work_owed(store)

    assert not work_owed(store)
    assert not run(None, live=True), "a live run does not end with it"
    assert not run("done") and run(None)
    assert run("done", live=True), "it did not do it either"
    assert run("interrupted") and run("failed")
    assert not run("done")
