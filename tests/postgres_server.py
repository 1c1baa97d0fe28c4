"""A PostgreSQL server of the tests' own: made in a temporary folder, ended with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rtsp.server import free_port

SERVER_USER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this user."""


def programs() -> Path | None:
    """The folder of initdb and pg_ctl: on PATH, or where Debian puts it; None where there is no server."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database, on a free port of loopback.

    Raises:
        OSError: the server cannot be made or started; the message holds what it said.
    """
    folder, port = Path(tempfile.mkdtemp(prefix="postgres-")), free_port()
    if os.getuid() == 0:
        owner = pwd.getpwnam(SERVER_USER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        as_server("initdb", "-D", folder / "data", "-U", "tests", "-A", "trust", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
        as_server("pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://tests@127.0.0.1:{port}/postgres"
        finally:
            as_server("pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_server(program: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs as a user that it accepts."""
    where = programs()
    assert where is not None
    user = ["runuser", "-u", SERVER_USER, "--"] if os.getuid() == 0 else []
    command = [*user, str(where / program), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
    if done.returncode != 0:
        raise OSError(f"{program}: {done.stdout.strip()}")
