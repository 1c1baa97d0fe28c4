"""What the pages say can be followed: links lead somewhere, commands are ones the program knows."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from pipeline.cli.main import app
from pipeline.running import channels
from tests.test_imports import ROOMS

ROOT = Path(__file__).parents[1]


def tracked(*patterns: str) -> list[str]:
    """Files of the repository, and those that are new and not ignored."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return sorted({name for name in names if (ROOT / name).is_file()})


PAGES = tracked("*.md")
FOR_USERS = [page for page in PAGES if page == "README.md" or page.startswith(("docs/guide/", "docs/how/"))]
SOURCES = tracked("*.md", "*.py", "*.yaml", "*.yml", "Makefile", ":!CHANGELOG.md")
WrongUsage = typer.BadParameter.__mro__[1]
"""What typer raises for a line that it does not take; it has no public name of its own."""
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def links(page: str) -> list[str]:
    text = FENCE.sub("", (ROOT / page).read_text())
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match("[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The names that a page's headings can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: str) -> list[str]:
    """What a reader may type, without the program's name: from blocks of code and from within sentences.

    A sentence may also merely name a command.
    """
    text = (ROOT / page).read_text().replace("\\\n", " ")
    typed = re.findall(
        r"^(?: {4}(?:\$ )?)?(?:python run_pipeline\.py|across-cameras)(?: (.*))?$", text, re.MULTILINE
    )
    return [*filter(None, typed), *re.findall(r"`across-cameras ([^`]+ -[^`]+)`", text)]


def parse(line: str) -> None:
    """Ends with the program's own complaint where it would not take this line.

    Raises:
        WrongUsage: no such command or option, or a value that it does not take.
    """
    words = shlex.split(re.split(r" [|>&] | +#", line)[0])
    command = get_command(app)
    if words == ["--version"]:
        return
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    if isinstance(command, TyperGroup) and words != ["--help"]:
        raise WrongUsage(f"no such command: {line}")
    if "--help" not in words:
        command.make_context(command.name, words)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


def test_a_page_that_is_named_is_there() -> None:
    for source in SOURCES:
        for name in re.findall(r"\bdocs/[\w/]+\.(?:md|png)", (ROOT / source).read_text()):
            assert (ROOT / name).exists(), f"{source}: {name}"


@pytest.mark.parametrize("page", FOR_USERS)
def test_every_command_that_is_shown_can_be_typed(page: str) -> None:
    for line in commands(page):
        try:
            parse(line)
        except WrongUsage as error:
            pytest.fail(f"{page}: {line}: {error}")


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/lab/")])
def test_what_is_imported_in_an_example_is_there(page: str) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
        lines = [line for line in ast.parse(code).body if isinstance(line, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(lines, []), page, "exec"), {})


def test_the_index_names_every_page() -> None:
    named = {(ROOT / "docs" / link).resolve() for link in links("docs/README.md")}
    pages = {ROOT / page for page in tracked("docs/*.md", "docs/**/*.md")} - {ROOT / "docs/README.md"}
    assert pages <= named


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(("docs/lab/", "CHANGELOG"))])
def test_a_file_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(
        r"\b(?:pipeline|reid|tests|configs|benchmarks|weights)/[\w/]+\.\w+", (ROOT / page).read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_names_every_room_and_every_channel() -> None:
    text = (ROOT / "docs/how/architecture.md").read_text()
    found = [channel.name for channel in vars(channels).values() if isinstance(channel, channels.Channel)]
    named = [f"`{room}/`" for room in ROOMS if room != "hall"] + [f"| {name} |" for name in found]
    assert found and [name for name in named if name not in text] == []


@pytest.mark.parametrize("page", FOR_USERS)
def test_a_page_for_users_is_no_notebook(page: str) -> None:
    text = FENCE.sub("", (ROOT / page).read_text())
    words = [
        word for line in text.splitlines() if not line.startswith(("|", "    ")) for word in line.split()
    ]
    assert sum(bool(re.search(r"\d", word)) for word in words) <= 0.07 * len(words)


def test_the_readme_and_its_picture_stay_small() -> None:
    assert (ROOT / "README.md").stat().st_size <= 4_887
    assert (ROOT / "docs/pictures/demo.png").stat().st_size < 150_000


def test_a_command_that_is_not_there_is_noticed() -> None:
    for wrong in ("query poeple --db a.db", "find --db a.db", "run a.mp4 --db", "export --format avi --db a"):
        with pytest.raises(WrongUsage):
            parse(wrong)
