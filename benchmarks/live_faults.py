"""What a live run does when cameras fail in every way: each fault against a real RTSP server.

    python benchmarks/live_faults.py [--json] [--only NAME ...] [--patience TIMES]

One run watches three cameras: one that stays healthy and must lose nothing, one that fails (RTSP over TCP,
through a relay), one over UDP. For each fault: after how long the status told it, after how long detection
went on once the fault was gone, and how many frames both cameras lost. Exits 1 naming each row that failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from live_cameras import FAULTS, MATCHER, Fault, Site, open_site
from live_judging import Row, end_of, matcher_row, row_of

from tests.rtsp.server import missing_packages


def main() -> int:
    """Run the matrix, print it, judge it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="rows whose name begins so")
    parser.add_argument("--patience", type=float, default=1.0, help="time limits are longer by this")
    arguments = parser.parse_args()
    if missing_packages():
        raise SystemExit(missing_packages())
    chosen = [f for f in FAULTS if not arguments.only or f.name.startswith(tuple(arguments.only))]
    with_matcher = not arguments.only or MATCHER.startswith(tuple(arguments.only))
    with tempfile.TemporaryDirectory() as folder, open_site(Path(folder), arguments.patience) as site:
        rows, closing = matrix(site, chosen, with_matcher=with_matcher)
    failed = [row.fault for row in rows if row.problems] + list(closing["problems"])
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "end": closing, "failed": failed}, indent=2))
    else:
        show(rows, closing)
    for name in failed:
        print(f"FAILED {name}", file=sys.stderr)
    return 1 if failed else 0


def matrix(site: Site, faults: list[Fault], *, with_matcher: bool) -> tuple[list[Row], dict[str, Any]]:
    """Every fault in one run, one after the other; and how the run ended."""
    rows = [say(row_of(fault, site)) for fault in faults]
    rows += [say(matcher_row(site))] if with_matcher else []
    return rows, end_of(site.run, site.patience)


def say(row: Row) -> Row:
    """Tell on stderr how far the matrix is."""
    print(f"{row.fault}: {'; '.join(row.problems) or 'ok'}", file=sys.stderr, flush=True)
    return row


def show(rows: list[Row], closing: dict[str, Any]) -> None:
    """Print the matrix as a Markdown table."""
    print("| fault | told after | told as | back after | frames lost | healthy lost | |")
    print("|---" * 7 + "|")
    for row in rows:
        told, back = (f"{s:.1f} s" if s is not None else "-" for s in (row.told_s, row.back_s))
        verdict = "; ".join(row.problems) or "ok"
        print(f"| {row.fault} | {told} | {row.told} | {back} | {row.lost} | {row.healthy_lost} | {verdict} |")
    print(f"\nStopped after {closing['stop_s']:.1f} s with exit code {closing['exit_code']}.")


if __name__ == "__main__":
    sys.exit(main())
