"""What the doctor found, as an object and as text."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ..findings import Finding
from .catalogue import causes_first

WIDTH = 100


class Diagnosis:
    """The findings of one look at a model or a script, causes before consequences and notes last.

    `str` gives the report; iteration, `len` and indexing give the findings.

    Attributes:
        findings: the findings.
        subject: what was looked at: "train.py", "the model".
        steps: how many training steps were followed.
        first_loss, last_loss: of those steps; None where there were none.
        error: what the script raised, as its last lines would have told it; "" if it raised nothing.
        remarks: what else there is to say of the examination.
        raised_by: what raised the error.
        healthy: whether training was seen, nothing of level warning or above was found, and nothing was raised.
        unseen: whether there is nothing to go by: no training step was seen, nothing was found, and nothing was raised.
    """

    def __init__(
        self,
        findings: list[Finding],
        subject: str,
        steps: int = 0,
        first_loss: float | None = None,
        last_loss: float | None = None,
        error: str = "",
        remarks: tuple[str, ...] = (),
    ) -> None:
        self.findings = causes_first(findings)
        self.subject, self.steps, self.error, self.remarks = subject, steps, error, remarks
        self.first_loss, self.last_loss = first_loss, last_loss
        self.raised_by = "The script"

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, in their order."""
        return [finding.code for finding in self.findings]

    @property
    def healthy(self) -> bool:
        return self.steps > 0 and not self.error and not self._serious

    @property
    def unseen(self) -> bool:
        return not self.steps and not self.error and not self._serious

    @property
    def _serious(self) -> bool:
        return any(finding.level != "note" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def summary(self) -> str:
        """One line: what was looked at, and how many findings there are."""
        steps = f"{self.steps} training {'step' if self.steps == 1 else 'steps'} followed" if self.steps else "no training step seen"
        loss = ""
        if self.first_loss is not None and self.last_loss is not None:
            loss = f", loss {self.first_loss:.4g} to {self.last_loss:.4g}"
        counts = [
            f"{count} {level}{'' if count == 1 else 's'}"
            for level in ("error", "warning", "note")
            if (count := sum(finding.level == level for finding in self.findings))
        ]
        nothing = "nothing found" if self.steps else "nothing to go by"
        return f"{self.subject}: {steps}{loss}; {', '.join(counts) or nothing}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "subject": self.subject,
            "healthy": self.healthy,
            "steps": self.steps,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "error": self.error,
            "remarks": list(self.remarks),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(_plain(self.to_dict()), indent=2)

    def __str__(self) -> str:
        lines = [self.summary()]
        for finding in self.findings:
            where = "" if finding.line is None else f"  ({finding.line})"
            lines += ["", f"{finding.code} {finding.level}: {finding.title}{where}"]
            if finding.line is not None and finding.line.text:
                lines.append(f"    > {shortened(finding.line.text)}")
            for label, text in (("seen", finding.seen), ("why", finding.why), ("cure", finding.cure), ("more", finding.link)):
                lines += [f"    {label + ':':<6}{text}"] if label in ("cure", "more") else _paragraph(label, text)
        for remark in self.remarks:
            lines += ["", *textwrap.wrap(remark, WIDTH)]
        if self.error:
            lines += ["", f"{self.raised_by} raised:", textwrap.indent(self.error.rstrip(), "    ")]
        return "\n".join(lines)

    __repr__ = __str__


def shortened(code: str) -> str:
    """A line of code, with its end left out where it is too long to be read."""
    longest = WIDTH - 6
    return code if len(code) <= longest else f"{code[: longest - 4]} ..."


def _paragraph(label: str, text: str) -> list[str]:
    indent = " " * 10
    wrapped = textwrap.wrap(text, WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return [f"    {label + ':':<6}{wrapped[0]}", *(indent + line for line in wrapped[1:])] if wrapped else []


def _plain(value: Any) -> Any:
    """Without NaN and infinity, which JSON has no words for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
