"""Long work in steps."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.linking.pausable_work import Steps, advanced, finished


def counted(steps: int, done: list[int]) -> Steps[str]:
    for step in range(steps):
        done.append(step)
        yield
    return "result"


def endless() -> Iterator[None]:
    while True:
        yield


def test_work_that_need_not_pause_gives_its_result() -> None:
    done: list[int] = []
    assert finished(counted(3, done)) == "result" and done == [0, 1, 2]
    assert finished(counted(0, done)) == "result"


def test_work_goes_on_by_one_step_at_least_and_stops_in_time() -> None:
    done: list[int] = []
    work = counted(3, done)
    assert not advanced(work, 0.0) and done == [0]
    assert not advanced(endless(), 0.01)


def test_work_with_time_enough_ends() -> None:
    done: list[int] = []
    work = counted(3, done)
    assert advanced(work, 10.0) and done == [0, 1, 2]
    assert advanced(work, 10.0)
