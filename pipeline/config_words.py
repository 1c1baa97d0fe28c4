"""What is wrong with a configuration, in the words of who wrote it rather than of the schema."""

from __future__ import annotations

import difflib
import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import yaml

NAME_RULE = "letters, digits, . _ -, at most 64, and not only dots"
ROI_RULE = "fractions of width and height, 0 to 1, such as [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]"
START_RULE = "a date and a time, such as 2026-01-31 08:00:00, or with its UTC offset 2026-01-31T08:00:00Z"
CAMERAS_RULE = "a list, such as [{name: hall, source: hall.mp4}]"
ASPECT_RULE = 'width to height of a stored pixel, in quotes, such as "16:11"'
TOP_RULE = "`cameras:` on top, and the list of cameras below it"
WORDS = {
    "object": "keys with values",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
"""JSON's types, which msgspec's messages speak of."""


def explain(message: str, root: type[msgspec.Struct]) -> str:
    """msgspec's message with the dotted path first, and what to write there.

    Args:
        message: of a `msgspec.ValidationError`.
        root: the struct that was asked for.
    """
    text, _, path = message.partition(" - at ")
    dotted = re.sub(r"^\$\.?", "", path.strip("`"))
    kind = type_at(root, dotted)
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", text):
        valid = [field for one in plain(kind) for field in getattr(one, "__struct_fields__", ())]
        said = f"unknown key {unknown[1]!r}{nearest(unknown[1], valid)}"
    elif missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        said = f"{missing[1]!r} is missing"
    elif rule := rule_of(text, dotted):
        said = f"write {rule}"
    elif choices := choices_of(kind) if re.search(", got |enum value", text) else []:
        value = text.removeprefix("Invalid enum value ")
        said = f"{f'{value} is not ' if value != text else 'write '}one of {', '.join(choices)}"
    else:
        said = in_words(text)
    return f"{dotted or 'top level'}: {said}"


def rule_of(text: str, dotted: str) -> str:
    """What a value that is of a wrong form has to look like; nothing where its type says enough."""
    field = re.sub(r"(\[\d+\])+$", "", dotted).rpartition(".")[2]
    if not dotted:
        return TOP_RULE
    if field == "pixel_aspect":
        return ASPECT_RULE
    if "matching regex" in text:
        return NAME_RULE
    return {"cameras": CAMERAS_RULE, "roi": ROI_RULE, "start": START_RULE}.get(field, "")


def choices_of(kind: Any) -> list[str]:
    """The values that may be written where a type lists some: 'a number' for any, the others by name."""
    options = [option for option in plain(kind) if option is not type(None)]
    if not any(get_origin(option) is Literal for option in options):
        return []
    named = [get_args(option) or (WORDS.get(option.__name__, option.__name__),) for option in options]
    return [str(value) for values in named for value in values]


def in_words(text: str) -> str:
    """msgspec's message without the names of JSON's types."""
    said = re.sub(r"`([\w |]+)`", lambda found: worded(found[1]), text).replace(" | nothing", "")
    said = re.sub(r"got (\w+)$", lambda found: f"got {WORDS.get(found[1], found[1])}", said)
    quotes = ": put it in quotes" if re.match("Expected `str.*got `(int|float|bool|date)", text) else ""
    return f"{said[0].lower()}{said[1:]}{quotes}"


def worded(types: str) -> str:
    """Types such as 'int | null' in words."""
    return " or ".join(WORDS.get(name, name) for name in types.split(" | ") if name != "null") or "nothing"


def type_at(root: Any, dotted: str) -> Any:
    """The annotation that a dotted path such as `cameras[0].roi` leads to, as far as it is known."""
    kind = root
    for step in re.findall(r"\w+|\[\d+\]", dotted):
        for option in plain(kind):
            if step.startswith("[") and get_args(option):
                kind = get_args(option)[0]
            elif isinstance(option, type) and issubclass(option, msgspec.Struct):
                kind = {field.name: field.type for field in msgspec.structs.fields(option)}.get(step, kind)
    return kind


def plain(kind: Any) -> list[Any]:
    """The types that an annotation lets a value have, without their limits."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for part in get_args(kind) for option in plain(part)]
    return [kind]


def nearest(word: str, valid: list[str]) -> str:
    """' (did you mean X?)', or the list of all valid words."""
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else f" (valid: {', '.join(sorted(valid))})"


def yaml_problem(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Where a file stops being YAML, and why, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        why = ": ".join(part for part in (error.context, error.problem) if part)
        return f"line {error.problem_mark.line + 1}: {why}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8 text"
    return " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
