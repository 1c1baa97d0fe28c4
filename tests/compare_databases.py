"""Whether two SQLite databases of this program say the same, row for row.

    python -m tests.compare_databases BEFORE.db AFTER.db [--renumbered]

Rows are told apart by what they are about (camera, track, part, frame, rank), not by the number they
happened to get: which of two cameras' tracklets is stored first is chance. Everything else is compared
exactly, but for wall-clock times and for where and with which command line the program was run. With
`--renumbered` people may have other numbers, each one the same other number everywhere.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[Any, ...]
Row = dict[str, Any]
SHOWN = 5
"""Differences of a table that are printed."""


@dataclass(frozen=True)
class Table:
    """How the rows of a table are told apart, and which columns are chance."""

    key: tuple[str, ...]
    refers: Mapping[str, str] = field(default_factory=dict)
    """Columns that hold a number of another table."""
    chance: frozenset[str] = frozenset()
    """Wall-clock times, paths, command lines."""


TABLES = {
    "runs": Table(("id",), chance=frozenset({"started_ns", "ended_ns", "command", "config", "software"})),
    "cameras": Table(("name",)),
    "models": Table(("name",)),
    "recordings": Table(
        ("camera", "fingerprint", "nth"),
        {"camera": "cameras"},
        frozenset({"source", "started_ns", "ended_ns"}),
    ),
    "tracklets": Table(("recording", "track", "part"), {"recording": "recordings"}),
    "boxes": Table(("tracklet", "frame"), {"tracklet": "tracklets"}),
    "crops": Table(("tracklet", "rank"), {"tracklet": "tracklets"}),
    "embeddings": Table(("crop",), {"crop": "crops", "model": "models"}),
    "identity_versions": Table(("id",), chance=frozenset({"created_ns"})),
    "identities": Table(("id",)),
    "sightings": Table(
        ("version", "tracklet"),
        {"tracklet": "tracklets", "identity": "identities", "runner_up": "identities"},
    ),
    "corrections": Table(("id",), chance=frozenset({"time_ns"})),
    "correction_members": Table(
        ("correction", "tracklet"),
        {"tracklet": "tracklets", "before": "identities", "after": "identities"},
    ),
    "audit": Table(("id",), chance=frozenset({"time_ns", "subject"})),
}
"""Each after those it refers to."""


def main() -> int:
    """Print what differs; the exit code says whether anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--renumbered", action="store_true", help="people may have other numbers")
    arguments = parser.parse_args()
    before, after = read(arguments.before), read(arguments.after)
    after = renumbered(before, after) if arguments.renumbered else after
    found = differences(before, after)
    for name in TABLES:
        told = found.get(name, [])
        print(f"{name}: {len(before[name])} and {len(after[name])} rows, {len(told) or 'no'} differences")
        for line in told[:SHOWN]:
            print(f"  {line}")
    return int(bool(found))


def read(path: Path) -> dict[str, dict[Key, Row]]:
    """Every table's rows by what they are about; numbers of other tables' rows replaced by the same."""
    keys: dict[str, dict[int, Key]] = {}
    found: dict[str, dict[Key, Row]] = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for name, table in TABLES.items():
            rows = [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            keys[name] = {}
            found[name] = {}
            if name == "recordings":
                number_live_ones(rows)
            for row in rows:
                number = row.get("id")
                for column, other in table.refers.items():
                    row[column] = None if row[column] is None else keys[other][row[column]]
                key = tuple(row[column] for column in table.key)
                keys[name] |= {} if number is None else {number: key}
                hidden = table.chance | ({"id"} if "id" not in table.key else frozenset())
                found[name][key] = {column: row[column] for column in row.keys() - hidden}
    return found


def number_live_ones(recordings: Sequence[Row]) -> None:
    """Add `nth`: what nothing else tells apart are the recordings of a live camera, in their order."""
    seen: Counter[int] = Counter()
    for row in recordings:
        row["nth"] = seen[row["camera"]] if row["fingerprint"] is None else None
        seen[row["camera"]] += row["fingerprint"] is None


def differences(
    before: Mapping[str, Mapping[Key, Row]], after: Mapping[str, Mapping[Key, Row]]
) -> dict[str, list[str]]:
    """One line for each row that is not in both or not the same, by table, where there are any."""
    found = {name: list(of_table(before[name], after[name])) for name in TABLES}
    return {name: lines for name, lines in found.items() if lines}


def of_table(before: Mapping[Key, Row], after: Mapping[Key, Row]) -> Iterator[str]:
    """What differs in a table."""
    for key in sorted(before.keys() | after.keys(), key=repr):
        if key not in after or key not in before:
            yield f"{key}: only {'before' if key in before else 'after'}"
        elif before[key] != after[key]:
            there, here = before[key], after[key]
            columns = sorted(c for c in there.keys() | here.keys() if there.get(c) != here.get(c))
            yield f"{key}: " + ", ".join(
                f"{c} {shown(there.get(c))} -> {shown(here.get(c))}" for c in columns
            )


def shown(value: Any) -> str:
    """A value in a line; pictures and vectors by their size."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)


def renumbered(
    before: Mapping[str, Mapping[Key, Row]], after: Mapping[str, Mapping[Key, Row]]
) -> dict[str, dict[Key, Row]]:
    """`after` with the numbers of `before`: a person is who the first claim about the same tracklet names.

    Who is somebody that another one is already gets a number that nobody has.
    """
    names: dict[int, int] = {}
    for key, row in sorted(after["sightings"].items(), key=repr):
        if key in before["sightings"]:
            (new,), (old,) = row["identity"], before["sightings"][key]["identity"]
            if new not in names and old not in names.values():
                names[new] = old
    claimed = {row["identity"][0] for key, row in after["sightings"].items() if key in before["sightings"]}
    nobody = [n for (n,) in sorted(after["identities"]) if n not in claimed]
    unnamed = [n for (n,) in sorted(before["identities"]) if n not in names.values()]
    names |= dict(zip(nobody, unnamed, strict=False))
    names = {n: names.get(n, -n) for (n,) in after["identities"]}
    return {
        table: {key: named(row, names) for key, row in rows.items()}
        if table != "identities"
        else {(names[n],): {"id": names[n]} for (n,) in rows}
        for table, rows in after.items()
    }


def named(row: Row, names: Mapping[int, int]) -> Row:
    """A row with other numbers of people, also in the evidence of a claim."""
    people = {c: row[c] for c in ("identity", "runner_up", "before", "after") if row.get(c) is not None}
    changed: Row = {column: (names[number],) for column, (number,) in people.items()}
    evidence = json.loads(row.get("evidence") or "null") or {}
    if "first" in evidence:
        changed["evidence"] = json.dumps(evidence | {"first": names.get(evidence["first"], -1)})
    return row | changed


if __name__ == "__main__":
    sys.exit(main())
