"""From what was observed to a diagnosis: all checks in their order."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..findings import Finding
from .catalogue import rank
from .data import check_data
from .diagnosis import Diagnosis
from .loop import check_loop
from .losses import check_losses
from .network import check_network
from .observation import Observer
from .rates import NOISE, check_rates

# What explains what: where the first is found, the others are its consequences, or can't be told from them, and are left out.
NETWORK = {"MG207", "MG401", "MG402", "MG403", "MG404", "MG406", "MG407", "MG408", "MG409"}
OF_THE_OPTIMIZER = {"MG101", "MG102", "MG103", "MG104", "MG109", "MG110", "MG407", "MG408"}
CONSEQUENCES: dict[str, set[str]] = {
    "MG303": NETWORK | {"MG307", "MG301"},
    "MG307": NETWORK,
    "MG203": NETWORK,
    "MG204": NETWORK,
    "MG205": NETWORK,
    "MG206": {"MG406", "MG408", "MG207"},
    "MG101": NETWORK - {"MG207"},
    "MG102": NETWORK | {"MG105"},
    "MG103": {"MG406", "MG408"},
    "MG104": NETWORK - {"MG207"},
    "MG105": {"MG406", "MG408", "MG402"},
    "MG107": {"MG407", "MG409", "MG401", "MG403", "MG406"},
    "MG110": NETWORK | {"MG106", "MG105"},
    "MG201": {"MG406", "MG408"},
    "MG202": {"MG406", "MG408"},
    "MG301": NETWORK,
    "MG302": NETWORK,
    "MG304": {"MG401", "MG407", "MG408"},
    "MG405": NETWORK,
    "MG403": NETWORK - {"MG403"},
    "MG404": {"MG402", "MG406", "MG408"},
    "MG402": {"MG406", "MG408"},
    "MG207": {"MG401", "MG407", "MG409", "MG406", "MG408"},
    "MG407": {"MG401", "MG409", "MG406", "MG404"},
    "MG401": {"MG406", "MG408"},
}


def examined(observer: Observer, subject: str, error: str = "", remarks: tuple[str, ...] = (), own_optimizer: bool = True) -> Diagnosis:
    """The diagnosis of what an observer saw; it must have finished.

    Without `own_optimizer` the optimizer was not the user's, and nothing is said of it.
    """
    failed: list[str] = []
    findings = [
        *_checked(failed, "loop", check_loop, observer, bool(error)),
        *_checked(failed, "loss", check_losses, observer),
        *_checked(failed, "data", check_data, observer),
        *_checked(failed, "network", check_network, observer),
    ]
    known = {finding.code for finding in findings if finding.level == "error" or (finding.level == "warning" and finding.code != "MG207")}
    explained = set().union(*(CONSEQUENCES.get(code, set()) for code in known))
    if not {"MG406", "MG407", "MG408"} <= explained:
        tried = _checked(failed, "learning rate", check_rates, observer)
        if any(NOISE in finding.seen for finding in tried):
            findings = [finding for finding in findings if finding.code not in NETWORK]
        findings += tried
    if not own_optimizer:
        findings = [finding for finding in findings if finding.code not in OF_THE_OPTIMIZER]
    values = max(observer.values.values(), key=len, default=[])
    first, last = (values[0], values[-1]) if values else (None, None)
    told = observer.bad is not None or observer.bad_loss is not None  # else a NaN means that a round's loss is not known
    return Diagnosis(
        _causes(_distinct(findings)), subject, observer.steps, _number(first, told), _number(last, told), error, (*remarks, *failed)
    )


def _checked(failed: list[str], what: str, check: Callable[..., Iterable[Finding]], *arguments: Any) -> list[Finding]:
    """The findings of a check; where it fails, a remark instead, for the others have found what they found."""
    try:
        with np.errstate(all="ignore"):
            return list(check(*arguments))
    except Exception as error:
        failed.append(f"The check of the {what} failed, which is a mistake of the doctor's: {type(error).__name__}: {error}")
        return []


def _causes(findings: list[Finding]) -> list[Finding]:
    """Without what others explain."""
    causes = [finding for finding in findings if finding.level != "note"]
    return [f for f in findings if not any(f.code in CONSEQUENCES.get(cause.code, ()) and rank(cause) < rank(f) for cause in causes)]


def _number(value: float | None, not_finite: bool) -> float | None:
    return None if value is None or (math.isnan(value) and not not_finite) else value


def _distinct(findings: list[Finding]) -> list[Finding]:
    """The first finding of each code."""
    return list({finding.code: finding for finding in reversed(findings)}.values())
