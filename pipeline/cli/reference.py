"""The pages of docs/reference, made from the code: `python -m pipeline.cli.reference FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from pipeline.cli.exit_codes import DONE, EXIT_CODES, FAILED, INTERRUPTED, WRONG_USAGE
from pipeline.cli.field_words import NO_DEFAULT, Field, about, fields, kind_text, records_in
from pipeline.cli.json_answers import ANSWERS, COMMON, JSON_WORDS, SERVED, Answer
from pipeline.cli.main import app
from pipeline.config import Config
from pipeline.config_words import NAME_RULE
from pipeline.errors import Kind
from pipeline.queries.export import ExportedBox
from pipeline.running.status_server import METRICS

PROGRAM = "across-cameras"
MADE = "<!-- Made from the code by `make docs`: change it there. -->"
CODES = {
    DONE: "Everything was done.",
    FAILED: "A source failed, the outside world did not do its part, or nothing was found.",
    WRONG_USAGE: "Another command line is needed: what was named is not there, or cannot be meant.",
    INTERRUPTED: "It was interrupted by Ctrl-C; the database is valid.",
}
KINDS = {
    "not found": "What was named is not there.",
    "wrong input": "What was asked cannot be meant.",
    "busy": "Somebody else has it now.",
    "unavailable": "A file, disk, server or camera does not do its part.",
    "full": "There is no room.",
}


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return {
        "command_line.md": command_line(),
        "configuration.md": configuration(),
        "export.md": export_columns(),
        "json.md": json_answers(),
        "metrics.md": metrics(),
    }


def command_line() -> str:
    """Every command with its arguments and options."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    found = dict(commands(root))
    lines = [
        MADE,
        "# Command line",
        "",
        f"`{PROGRAM}` is the installed command. From a clone, `python run_pipeline.py` is the same.",
        "Every command has `--help`.",
        "",
        *table(("command", "what it does"), ((linked(path), short(one)) for path, one in found.items())),
    ]
    for path, one in found.items():
        lines += ["", f"## {path}", "", *described(path, one)]
    codes = [(str(code), text) for code, text in CODES.items()]
    kinds = [(kind, KINDS[kind], str(EXIT_CODES[kind])) for kind in get_args(Kind)]
    lines += ["", "## Exit codes", "", *table(("code", "meaning"), codes), ""]
    lines += [
        "An error that a person can mend is one line on standard error. It is of one of these kinds.",
        "",
    ]
    return page([*lines, *table(("kind", "meaning", "exit code"), kinds)])


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, TyperCommand]]:
    """Every command below a group by what is typed, in the order in which --help lists them."""
    for name, one in group.commands.items():
        if isinstance(one, TyperGroup):
            yield from commands(one, f"{before}{name} ")
        elif isinstance(one, TyperCommand):
            yield f"{before}{name}", one


def linked(path: str) -> str:
    """A command as a link to its section."""
    return f"[`{path}`](#{path.replace(' ', '-')})"


def short(command: TyperCommand) -> str:
    """The first paragraph of a command's help, as one line."""
    return (command.help or "").partition("\n\n")[0].replace("\n", " ")


def described(path: str, command: TyperCommand) -> list[str]:
    """A command's help, its usage and its parameters."""
    kinds = get_type_hints(getattr(command.callback, "__wrapped__", command.callback), include_extras=True)
    parameters: list[Any] = [one for one in command.params if one.name != "help"]
    rows = [
        (f"`{shown(one)}`", value_text(one, kinds[one.name]), unsaid_text(one), one.help or "")
        for one in parameters
    ]
    usage = " ".join(shown(one) for one in parameters if one.param_type_name == "argument")
    needed = " ".join(
        f"{shown(one)} {one.name.upper()}"
        for one in parameters
        if one.param_type_name == "option" and one.required
    )
    typed = " ".join(filter(None, (PROGRAM, path, usage, needed.replace("OUT_PATH", "OUT"))))
    head = ["```", f"{typed} [OPTIONS]", "```", "", *literal(command.help or "").splitlines(), ""]
    return [*head, *table(("", "a value is", "default", "meaning"), rows)]


def value_text(parameter: Any, kind: Any) -> str:
    """What may be written behind an option, or as an argument; nothing for a switch."""
    if getattr(parameter, "is_bool_flag", False):
        return ""
    return kind_text(kind).removesuffix(" or nothing").removeprefix("a list, each ")


def unsaid_text(parameter: Any) -> str:
    """What holds where a parameter is left out."""
    if parameter.required:
        return "needed"
    return "" if parameter.default in (None, False, "") else f"`{parameter.default}`"


def shown(parameter: Any) -> str:
    """A parameter as it is typed: `--db`, or `PERSON`, with dots where several may be given."""
    if parameter.param_type_name == "option":
        return "/".join(parameter.opts)
    return f"{parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}"


def configuration() -> str:
    """Every key of a configuration file."""
    lines = [
        MADE,
        "# Configuration",
        "",
        "A configuration is a YAML file that names only what differs from the defaults below.",
        "[configs/default.yaml](../../configs/default.yaml) has every key once, ready to copy.",
        "An unknown key is refused, and the message names the key that may be meant.",
        f"A name is made of {NAME_RULE}.",
    ]
    for path, record, keys in sections("", Config):
        title = f"`{path}`" if path else "On top"
        rows = [(f"`{key.name}`", kind_text(key.kind), default_text(key), key.meaning) for key in keys]
        lines += ["", f"## {title}", "", about(record), ""]
        lines += table(("key", "a value is", "default", "meaning"), rows)
    return page(lines)


def sections(path: str, record: type) -> Iterator[tuple[str, type, list[Field]]]:
    """A struct's own keys, then those of the structs that it holds, each below its dotted path."""
    keys = fields(record)
    holders = {key.name: found for key in keys if (found := list(records_in(key.kind)))}
    yield path, record, [key for key in keys if key.name not in holders]
    for key in keys:
        for inner in holders.get(key.name, ()):
            listed = "[]" if isinstance(key.default, tuple) else ""
            yield from sections(f"{path}.{key.name}{listed}".lstrip("."), inner)


def default_text(key: Field) -> str:
    """A default as YAML has it."""
    return "needed" if key.default is NO_DEFAULT else f"`{msgspec.json.encode(key.default).decode()}`"


def export_columns() -> str:
    """What each format of `export` holds."""
    rows = [(f"`{one.name}`", kind_text(one.kind, JSON_WORDS), one.meaning) for one in fields(ExportedBox)]
    lines = [
        MADE,
        "# Export",
        "",
        f"`{PROGRAM} export` writes what was found for other programs, in one of four formats.",
        "",
        "## csv and parquet",
        "",
        "There is one row for each person and frame. These are the columns, in this order.",
        "",
        *table(("column", "a value is", "meaning"), rows),
        "",
        "## mot",
        "",
        "There is one text file for each recording, in the format of the MOT Challenge:",
        "`frame,person,left,top,width,height,confidence,-1,-1,-1`.",
        "Frames count from 1. Sizes are in pixels.",
        "",
        "## json",
        "",
        "There is one entry for each tracklet, and no boxes: an object with `version`, the identity version,",
        "and `sightings`, a list of [Sighted](json.md#sighted).",
    ]
    return page(lines)


def json_answers() -> str:
    """What every command prints with --json, and what the status server answers."""
    lines = [
        MADE,
        "# JSON",
        "",
        "Every command below prints one JSON object with `--json`.",
        "Times end in `_ns`: they are nanoseconds in UTC since 1970.",
        "Where the clock of a camera is not known, they count from the start of its recording.",
        "Beside every `x_ns` stands `x_utc`, the same as text such as `2026-01-31T08:00:00.000000+00:00`,",
        "or `null` where the clock is not known.",
        "Lengths of time end in `_s` and are seconds. Sizes end in `_px` and are pixels.",
        "A probability lies between 0 and 1.",
    ]
    records: dict[str, type] = {}
    answers = [*((f"{path} --json", answer) for path, answer in ANSWERS.items()), *SERVED.items()]
    for title, answer in answers:
        lines += ["", f"## {title}", "", *table(("key", "a value is", "meaning"), answer_rows(answer))]
        for part in answer:
            kinds = [part] if isinstance(part, type) else [kind for kind, _ in part.values()]
            for kind in kinds:
                records |= {record.__name__: record for record in every_record(kind)}
    for name in sorted(records):
        rows = field_rows(records[name])
        lines += ["", f"## {name}", "", about(records[name]), ""]
        lines += table(("key", "a value is", "meaning"), rows)
    return page(lines)


def answer_rows(answer: Answer) -> list[tuple[str, str, str]]:
    """The keys of an answer's object."""
    rows: list[tuple[str, str, str]] = []
    for part in answer:
        if isinstance(part, type):
            rows += field_rows(part)
        else:
            rows += [(f"`{key}`", kind_text(kind, JSON_WORDS), said) for key, (kind, said) in part.items()]
    return rows


def field_rows(record: type) -> list[tuple[str, str, str]]:
    """The fields of a record; what a field says of itself goes before what its name says anywhere."""
    return [
        (f"`{one.name}`", kind_text(one.kind, JSON_WORDS), one.meaning or COMMON.get(one.name, ""))
        for one in fields(record)
    ]


def every_record(kind: Any) -> Iterator[type]:
    """The records within a type, and those within their fields."""
    for record in records_in(kind):
        yield record
        for one in fields(record):
            yield from every_record(one.kind)


def metrics() -> str:
    """Every metric that Prometheus is given."""
    rows = [(f"`{name}`", kind, help) for name, help, kind, _ in METRICS]
    lines = [
        MADE,
        "# Metrics",
        "",
        "With `status.port` set, a live run serves `http://127.0.0.1:PORT/metrics`.",
        "The text is in Prometheus' format.",
        "Each metric has the label `camera`.",
        "",
        *table(("metric", "type", "meaning"), rows),
        "",
        "What `evaluate` measures is under [Evaluation](json.md#evaluate---json);",
        "what it means stands in [the guide](../guide/measuring.md).",
    ]
    return page(lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(literal(cell).replace("|", r"\|") for cell in row) + " |" for row in cells]


def literal(text: str) -> str:
    """Text in which nothing outside code is taken for HTML."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def page(lines: Sequence[str]) -> str:
    """The text of a page."""
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write every page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
