"""A finding: a mistake in a program, told with what was seen, why it matters, and what cures it."""

from dataclasses import dataclass
from typing import Any

from .lines import Line

LEVELS = ("error", "warning", "note")  # the most serious first


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        code: such as "MG101"; the page of the link has a section for each.
        level: "error": the program does not do what it says. "warning": it trains badly, or measures wrongly. "note": worth knowing.
        title: the mistake in a few words.
        seen: what was seen in this program, with its numbers.
        why: why it matters.
        cure: a line of code.
        line: where in the user's program, if that is known.
        link: where to read more.
    """

    code: str
    level: str
    title: str
    seen: str
    why: str
    cure: str
    line: Line | None = None

    @property
    def link(self) -> str:
        return f"docs/troubleshooting.md#{self.code.lower()}"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain strings and numbers, for JSON."""
        line = None if self.line is None else {"file": self.line.file, "number": self.line.number, "text": self.line.text}
        return {
            "code": self.code,
            "level": self.level,
            "title": self.title,
            "seen": self.seen,
            "why": self.why,
            "cure": self.cure,
            "line": line,
            "link": self.link,
        }

    def __str__(self) -> str:
        where = "" if self.line is None else f" ({self.line})"
        parts = {"seen": self.seen, "why": self.why, "cure": self.cure, "more": self.link}
        return "\n".join(
            [f"{self.code} {self.level}: {self.title}{where}", *(f"    {name + ':':<6}{text}" for name, text in parts.items())]
        )
