"""Checks of the engine's gradients against differences, with a diagnosis of what is wrong.

    differences.py   slopes by differences, with an estimate of their own error
    check.py         gradient_check of a function, check_all_gradients of a model
    comparison.py    one argument: along random directions, and element by element where one disagrees
    findings.py      all arguments of a function, and what is said of each
    diagnosis.py     which known bug the numbers fit, with the evidence
    uses.py          the operations that a gradient came through, run again one by one

All is computed in float64, whatever the dtype of what is given: in float32 a central difference is right to about two digits.
"""

from .check import GradientCheck, check_all_gradients, gradient_check
from .comparison import TOLERANCE, Element
from .differences import numerical_gradient

__all__ = ["TOLERANCE", "Element", "GradientCheck", "check_all_gradients", "gradient_check", "numerical_gradient"]
