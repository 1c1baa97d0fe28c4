"""What the fields of a record are called, may hold and mean, read from its class."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from pipeline.config import Name
from pipeline.config_words import WORDS, plain

NO_DEFAULT = object()
NAME_PATTERN = get_args(Name)[1].pattern
BOUNDS = {
    **{"gt": "above", "ge": "from", "le": "to", "multiple_of": "in steps of"},
    **{"min": "from", "max": "to"},
}
"""Limits as msgspec and typer name them."""


class Field(NamedTuple):
    """One field of a record."""

    name: str
    kind: Any
    """Its annotation, with limits."""
    default: Any
    """`NO_DEFAULT` where there is none."""
    meaning: str
    """The sentence below it in the code; empty where there is none."""


def fields(record: type) -> list[Field]:
    """The fields of a msgspec struct, a dataclass or a named tuple, in order."""
    kinds = get_type_hints(record, include_extras=True)
    said = meanings(record)
    names = [name for name in kinds if name in said]
    return [Field(name, kinds[name], default(record, name), said[name]) for name in names]


def default(record: type, name: str) -> Any:
    """What a field holds when nothing is said."""
    if not issubclass(record, msgspec.Struct):
        return getattr(record, name, NO_DEFAULT)
    found = next(field for field in msgspec.structs.fields(record) if field.name == name)
    if found.default_factory is not msgspec.NODEFAULT:
        return found.default_factory()
    return NO_DEFAULT if found.default is msgspec.NODEFAULT else found.default


def meanings(record: type) -> dict[str, str]:
    """The sentence that stands below each field in the code, by the field's name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    last = ""
    for line in tree.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            last = line.target.id
            found[last] = ""
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and last:
            found[last] = inspect.cleandoc(str(line.value.value)).replace("\n", " ")
    return found


def about(record: type) -> str:
    """The first paragraph of a class's docstring, as one line."""
    return (inspect.getdoc(record) or "").partition("\n\n")[0].replace("\n", " ")


def records_in(kind: Any) -> Iterator[type]:
    """The records that a value of this type may hold, at any depth of lists and objects."""
    if isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or is_dataclass(kind)):
        yield kind
    for part in get_args(kind):
        yield from records_in(part)


def kind_text(kind: Any, words: Mapping[str, str] = WORDS) -> str:
    """A type in words: `a number above 0`, `tcp or udp`, `a list of text`."""
    options = [option for option in options_of(kind) if option is not NoneType]
    texts = [*dict.fromkeys(option_text(option, words) for option in options)]
    return alternatives([*texts, *(["nothing"] if NoneType in options_of(kind) else [])])


def alternatives(texts: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def options_of(kind: Any) -> list[Any]:
    """The types that an annotation allows, limits left on them."""
    if get_origin(kind) is Annotated:
        return [kind]
    return [option for part in union_of(kind) for option in ([part] if part is kind else options_of(part))]


def union_of(kind: Any) -> list[Any]:
    """The members of a union; the type itself where it is none."""
    return list(get_args(kind)) if len(plain(kind)) > 1 and get_origin(kind) is not Literal else [kind]


def option_text(kind: Any, words: Mapping[str, str]) -> str:
    """One member of a union in words."""
    if get_origin(kind) is Annotated:
        inner, *limits = get_args(kind)
        text = kind_text(inner, words)
        least = text.removesuffix(" or nothing")
        return limited(least, limits[0]) + text[len(least) :]
    if get_origin(kind) is Literal:
        return alternatives([f"`{value}`" for value in get_args(kind)])
    if get_origin(kind) in (tuple, list):
        return list_text(get_args(kind), words)
    if get_origin(kind) is dict:
        return f"an object with {kind_text(get_args(kind)[1], words)} for each name"
    if any(records_in(kind)):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return {datetime: "a date and time with its UTC offset", Path: "a path"}.get(kind) or words[kind.__name__]


def list_text(inside: tuple[Any, ...], words: Mapping[str, str]) -> str:
    """A list or tuple in words."""
    if inside[-1] is Ellipsis or len(inside) == 1:
        return f"a list, each {kind_text(inside[0], words)}"
    each = dict.fromkeys(kind_text(part, words) for part in inside)
    return f"{len(inside)} values, {'each ' if len(each) == 1 else ''}{', '.join(each)}"


def limited(text: str, limits: Any) -> str:
    """A type with what msgspec's or typer's limits add to it."""
    if getattr(limits, "pattern", None) == NAME_PATTERN:
        return "a name" if r"\w" in limits.pattern else text
    bounds = ((word, getattr(limits, key, None)) for key, word in BOUNDS.items())
    return " ".join([text, *(f"{word} {bound:g}" for word, bound in bounds if bound is not None)])
