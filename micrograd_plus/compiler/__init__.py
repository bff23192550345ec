"""A compiler of training steps, in five chapters: trace, graph, passes, C, run."""

from .build import BuildError
from .run import Compiled, Disagreement, compile
from .trace import Untraceable

__all__ = ["BuildError", "Compiled", "Disagreement", "Untraceable", "compile"]
