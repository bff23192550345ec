"""A compiler of training steps, in five chapters: trace, graph, passes, C, run."""

from .run import BuildError, Compiled, Disagreement, Untraceable, compile

__all__ = ["BuildError", "Compiled", "Disagreement", "Untraceable", "compile"]
