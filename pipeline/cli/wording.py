"""How numbers, times and certainties of the store read on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.text import Text

from pipeline.queries.tracks import Sighted


def certainty_text(links: Iterable[Sighted]) -> Text:
    """How sure the least certain link is, and who else it could be."""
    links = list(links)
    if not any(link.state for link in links):
        return Text("not linked", style="dim")
    least = min((link.probability for link in links if link.probability is not None), default=None)
    text = Text("first sighting", style="dim") if least is None else Text(f"{least:.0%}")
    unsure = [link for link in links if link.state == "ambiguous"]
    others = {link.runner_up: link.runner_up_probability for link in unsure if link.runner_up}
    for other, probability in sorted(others.items()):
        text.append(f" or P{other}{'' if probability is None else f' {probability:.0%}'}", style="yellow")
    if unsure and not others:
        text.append(" ambiguous", style="yellow")
    return text


def time_text(time_ns: int, *, clock_known: bool) -> str:
    """A time in UTC to the tenth of a second; without a clock, the time since the start of the recording."""
    if not clock_known:
        return f"+{span_text(time_ns / 1e9)}"
    return f"{datetime.fromtimestamp(round(time_ns / 1e8) / 10, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-5]


def end_text(start_ns: int, end_ns: int, *, clock_known: bool) -> str:
    """The same for the end of a span, without the date where the start has it."""
    start, end = (time_text(t, clock_known=clock_known) for t in (start_ns, end_ns))
    return end[11:] if clock_known and start[:10] == end[:10] else end


def span_text(seconds: float) -> str:
    """A duration: 4.2 s, 3 min 05 s, 2 h 03 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def gap_text(seconds: float) -> str:
    """What lies between two visits."""
    return f"{span_text(seconds)} out of view" if seconds > 0 else "in view of both at once"


def count_text(number: int, word: str, words: str = "") -> str:
    """'1 visit', '2 visits'."""
    return f"{number} {word if number == 1 else words or word + 's'}"
