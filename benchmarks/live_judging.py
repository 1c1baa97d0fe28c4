"""Does one fault to a live site, repairs it, and judges what the run made of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import psutil
from live_cameras import DETECTION_FPS, MATCHER, PASSWORD, Fault, Site
from live_site import LiveRun, frames_dropped

IN_FLIGHT = 12
"""Frames by which a report may lag behind what the server has sent: half a second."""
SETTLE_S = 60.0
HOLD_S = 8.0
"""How long a fault lasts that the camera must live through."""
CLOSED_S = 10.0
END_S = 3.0
"""Within which processes that nobody waits for are gone, after the run itself."""
STORED_S = 40.0
"""Someone walks through the picture at least this often."""


@dataclass(frozen=True)
class Row:
    """What came of one fault."""

    fault: str
    told_s: float | None
    """Until the status told it; None: it stayed live."""
    told: str
    back_s: float | None
    """Until detection went on, after the repair."""
    lost: int
    """Frames of the failing camera that never arrived, from the fault to the return."""
    healthy_lost: int
    """Frames of the healthy camera that did not arrive, or were not detected although they were due."""
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Count:
    """A camera's counters at one moment."""

    at_s: float
    frames_in: int
    detected: int
    dropped: int
    reconnects: int


def row_of(fault: Fault, site: Site) -> Row:
    """Do one fault, repair it, and count."""
    run, problems = site.run, settle(site, fault.camera)
    fault = replace(fault, told_s=fault.told_s * site.patience, back_s=fault.back_s * site.patience)
    fps = site.fps(fault.camera) * fault.rate
    before, healthy = count(run, fault.camera), count(run, "healthy")
    sent = site.healthy.sent("cam")
    fault.inject(site)
    told_s, told = watch_for(run, fault)
    if fault.told_as and told_s is None:
        problems.append(f"not told within {fault.told_s:.0f} s")
    if not fault.told_as and told_s is not None:
        problems.append(f"did not stay live: {told}")
    during = count(run, fault.camera)
    if not fault.told_as:
        problems += starved(before, during, min(DETECTION_FPS, fps) / site.patience)
    fault.repair(site)
    back_s = run.wait(lambda r: goes_on(r[fault.camera], during), fault.back_s)
    if back_s is None:
        problems.append(f"not back within {fault.back_s:.0f} s")
    after = count(run, fault.camera)
    due = (during.at_s - before.at_s) * fps + (after.at_s - during.at_s) * site.fps(fault.camera)
    lost = max(0, round(due) - (after.frames_in - before.frames_in))
    healthy_lost, more = healthy_loss(site, sent, healthy)
    return Row(fault.name, told_s, told, back_s, lost, healthy_lost, (*problems, *more))


def settle(site: Site, camera: str) -> list[str]:
    """Wait until the camera is live and detected at its full rate; what is wrong where it is not."""

    def settled(reports: dict[str, dict[str, Any]]) -> bool:
        report = reports[camera]
        return report["state"] == "live" and report["fps_detected"] > 0.9 * DETECTION_FPS / site.patience

    waited = site.run.wait(settled, SETTLE_S * site.patience)
    return ["was not well before the fault"] if waited is None else []


def count(run: LiveRun, camera: str) -> Count:
    """The camera's counters, as of a report that has just arrived."""
    report = run.fresh(camera)
    dropped = sum(frames_dropped(report).values())
    return Count(
        time.monotonic(), report["frames_in"], report["frames_detected"], dropped, report["reconnects"]
    )


def watch_for(run: LiveRun, fault: Fault) -> tuple[float | None, str]:
    """When the status told the fault, and in what words; (None, '') where the camera stayed live."""
    words = ""

    def told(reports: dict[str, dict[str, Any]]) -> bool:
        nonlocal words
        report = reports[fault.camera]
        words = f"{report['state']}: {report['last_error']}"
        return report["state"] in fault.told_as if fault.told_as else report["state"] != "live"

    told_s = run.wait(told, fault.told_s if fault.told_as else HOLD_S)
    return told_s, words if told_s is not None else ""


def goes_on(report: dict[str, Any], during: Count) -> bool:
    """Whether the camera is live and its frames are detected again."""
    return report["state"] == "live" and report["frames_detected"] > during.detected + 1


def starved(before: Count, after: Count, fps: float) -> list[str]:
    """What is wrong where a camera that must stay live is hardly detected."""
    rate = (after.detected - before.detected) / (after.at_s - before.at_s)
    return [f"{rate:.1f} of {fps:g} frames a second detected"] if rate < 0.6 * fps else []


def healthy_loss(site: Site, sent: int, before: Count) -> tuple[int, list[str]]:
    """Frames the healthy camera lost since `before`, and what is wrong with that."""
    after = count(site.run, "healthy")
    missing = site.healthy.sent("cam") - sent - (after.frames_in - before.frames_in)
    due = round((after.at_s - before.at_s) * DETECTION_FPS)
    undetected = max(0, due - (after.detected - before.detected) - 2)
    in_flight = IN_FLIGHT * site.patience
    problems = [f"the healthy camera missed {missing} frames"] if missing > in_flight else []
    if undetected or after.dropped > before.dropped:
        dropped = after.dropped - before.dropped
        problems.append(f"the healthy camera: {undetected} of {due} not detected, {dropped} dropped")
    if after.reconnects != before.reconnects:
        problems.append("the healthy camera was connected anew")
    lost = missing if missing > in_flight else 0
    return max(0, lost) + undetected + after.dropped - before.dropped, problems


def matcher_row(site: Site) -> Row:
    """Kill the match worker: another takes over, with the gallery from the store."""
    run, stored_s = site.run, STORED_S * site.patience
    until(lambda: linked(run) > 0, stored_s)
    healthy = count(run, "healthy")
    sent = site.healthy.sent("cam")
    pid, tracklets = run.status()["processes"]["match"], stored(run)
    people = run.rows("SELECT max(id) FROM identities")[0][0] or 0
    site.kill_matcher()
    told_s = until(lambda: run.status().get("processes", {}).get("match", pid) != pid, stored_s)
    back_s = until(lambda: stored(run) > tracklets, stored_s)
    known = until(lambda: linked(run, after=tracklets, people=people) > 0, stored_s)
    problems = ["no new matcher"] if told_s is None else []
    problems += ["nothing was stored any more"] if back_s is None else []
    problems += ["nobody known from before was recognised"] if known is None else []
    healthy_lost, more = healthy_loss(site, sent, healthy)
    return Row(MATCHER, told_s, "restarted", back_s, 0, healthy_lost, (*problems, *more))


def stored(run: LiveRun) -> int:
    """The highest number of a tracklet in the database."""
    return int(run.rows("SELECT coalesce(max(id), 0) FROM tracklets")[0][0])


def linked(run: LiveRun, *, after: int = 0, people: int = 1 << 60) -> int:
    """Sightings of later tracklets filed under people known by then."""
    return int(
        run.rows(
            f"SELECT count(*) FROM sightings WHERE tracklet > {after} AND identity <= {people} "
            "AND state = 'linked'"
        )[0][0]
    )


def until(condition: Callable[[], bool], timeout_s: float) -> float | None:
    """Seconds until it holds; None: it did not in time."""
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    return None


def end_of(run: LiveRun, patience: float = 1.0) -> dict[str, Any]:
    """Stop the run and look at what it left: time, exit code, leftovers, passwords, order of times."""
    children = [process for process in run.processes()[1:] if not zombie(process)]
    arguments = [" ".join(process.cmdline()) for process in children]
    stop_s = run.stop()
    psutil.wait_procs(children, END_S)
    alive = [process.pid for process in children if not zombie(process)]
    told = {
        path.name: path.read_bytes()
        for path in run.folder.iterdir()
        if path.suffix != ".mp4" and path.is_file()
    }
    leaks = [name for name, data in told.items() if any(word in data for word in forms(PASSWORD))]
    leaks += ["process arguments"] if any(PASSWORD in line for line in arguments) else []
    backwards = run.rows(
        "SELECT count(*) FROM boxes a JOIN boxes b ON a.tracklet = b.tracklet AND b.frame > a.frame "
        "AND b.time_ns <= a.time_ns"
    )[0][0]
    problems = [f"closing took {stop_s:.1f} s"] if stop_s > CLOSED_S * patience else []
    problems += [f"exit code {run.process.returncode}"] if run.process.returncode not in (0, 130) else []
    problems += [f"processes left: {alive}"] if alive else []
    problems += [f"password in {name}" for name in leaks]
    problems += [f"{backwards} times that do not grow"] if backwards else []
    problems += ["Traceback in what was said"] if "Traceback" in run.words() else []
    return {"stop_s": stop_s, "exit_code": run.process.returncode, "problems": problems}


def forms(password: str) -> list[bytes]:
    """The password as it is and as it stands in a URL."""
    return [password.encode(), quote(password, safe="").encode()]


def zombie(process: psutil.Process) -> bool:
    """Whether it has ended, and at most nobody has asked yet."""
    return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
