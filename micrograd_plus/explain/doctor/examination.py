"""From what was observed to a diagnosis: all checks in their order."""

import math

from ..findings import Finding
from .data import check_data
from .diagnosis import Diagnosis
from .loop import check_loop
from .losses import check_losses
from .network import check_network
from .observation import Observer


def examined(observer: Observer, subject: str, error: str = "", remarks: tuple[str, ...] = ()) -> Diagnosis:
    """The diagnosis of what an observer saw; it must have finished."""
    findings: list[Finding] = [*check_loop(observer, bool(error)), *check_losses(observer), *check_data(observer), *check_network(observer)]
    values = max(observer.values.values(), key=len, default=[])
    first, last = (values[0], values[-1]) if values else (None, None)
    return Diagnosis(_distinct(findings), subject, observer.steps, _number(first), _number(last), error, remarks)


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _distinct(findings: list[Finding]) -> list[Finding]:
    """The first finding of each code."""
    return list({finding.code: finding for finding in reversed(findings)}.values())
