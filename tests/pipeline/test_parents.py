"""A process that serves another one ends with it."""

from __future__ import annotations

import os
import subprocess
import sys

from pipeline.parents import Parent, is_alive, minding, started_ticks, this_process


def test_this_process_is_alive_and_another_of_its_number_is_not() -> None:
    me = this_process()
    assert me.pid == os.getpid() and is_alive(me) and minding(me)()
    assert not is_alive(Parent(me.pid, (me.started_ticks or 0) + 1))


def test_who_has_ended_is_not_alive_even_before_its_parent_has_noticed() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    parent = Parent(child.pid, started_ticks(child.pid))
    assert is_alive(parent)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert not is_alive(parent)
    child.communicate()
    assert not is_alive(parent) and not is_alive(Parent(child.pid, None))


def test_with_nobody_to_serve_there_is_nobody_to_miss() -> None:
    assert minding(None)()
