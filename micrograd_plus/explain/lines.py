"""Lines of the user's program: where an operation was called from, and where a variable got its value."""

import ast
import functools
import linecache
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

PACKAGE = str(Path(__file__).parent.parent)
NUMPY = str(Path(np.__file__).parent)


class Line(NamedTuple):
    """A line of a file, numbered from 1; `str` gives "train.py, line 12", and in a notebook "Cell In[3], line 12"."""

    file: str
    number: int

    @property
    def text(self) -> str:
        """What stands there, without the spaces around it; "" where the file can't be read."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{_cell(self.file) or Path(self.file).name}, line {self.number}"


def _cell(file: str) -> str | None:
    """The name of a notebook's cell, whose file is a temporary one."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    name = getattr(getattr(shell, "compile", None), "format_code_name", lambda file: None)(file)
    return name and " ".join(name)


@functools.cache
def is_users(file: str) -> bool:
    """Whether the user wrote a file of this name: not one of this package or NumPy, nor what they call through."""
    return not file.startswith((PACKAGE, NUMPY, "<frozen", "<__array_function__")) and "contextlib" not in file and "functools" not in file


def user_frames(frame: FrameType | None = None) -> Iterator[FrameType]:
    """The frames of the user's program, from the innermost outward; of the caller's stack, or from a given frame on."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def user_line() -> Line | None:
    """The line of the innermost frame that is neither this package's nor NumPy's, nor of what they call through."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return Line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class Variable(NamedTuple):
    """A variable of the user's, and the line that gave it its value, None where that is not known."""

    name: str
    line: Line | None


def variable_of(value: Any, frames: Iterable[FrameType]) -> Variable | None:
    """The variable that holds this very object, in the first of the frames that has one; None where none has.

    Of a function's argument, the line is that of the caller's variable.
    """
    found: Variable | None = None
    for frame in frames:
        for name, held in (*frame.f_locals.items(), *frame.f_globals.items()):
            if held is value and not name.startswith(("_", "@")):
                module = name not in frame.f_locals or frame.f_code.co_name == "<module>"
                line = _assignment(frame.f_code, name, frame.f_lineno, module)
                if line is not None:
                    return Variable(name, line)
                found = found or Variable(name, line)
    return found


def write_to(names: Collection[str], frames: Iterable[FrameType], after: Line | None) -> Line | None:
    """The statement of the user's that seems to write into an array in place, by a variable of one of these names.

    Of the functions of these frames, in the file of the line `after` where there is one, the first such statement below it, else
    the first: `w.data[0] = 1`, `w.data *= 2`, `view += 1`, `model.layers[0].weight.data[:] = 0`.
    """
    found = []
    for frame in frames:
        if after is not None and frame.f_code.co_filename != after.file:
            continue
        module = frame.f_code.co_name == "<module>"
        for statement in ast.walk(_scope(frame.f_code.co_filename, 0 if module else frame.f_code.co_firstlineno)):
            if isinstance(statement, ast.AugAssign):
                targets = [statement.target]
            elif isinstance(statement, ast.Assign):
                targets = [target for target in statement.targets if isinstance(target, ast.Subscript)]
            else:
                continue
            if any(_owner(target) in names for target in targets):
                found.append(Line(frame.f_code.co_filename, statement.lineno))
    below = [line for line in found if after is not None and line.number > after.number]
    return min(below or found, default=None)


def _owner(target: ast.AST) -> str | None:
    """The variable whose part or attribute is assigned to."""
    while isinstance(target, ast.Subscript | ast.Attribute):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _assignment(code: CodeType, name: str, before: int, module: bool) -> Line | None:
    """The last statement above the line `before`, else the last one, that gives a name its value in a function or in its module."""
    lines = [
        statement.lineno
        for statement in ast.walk(_scope(code.co_filename, 0 if module else code.co_firstlineno))
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With | ast.NamedExpr)
        and any(isinstance(x, ast.Name) and x.id == name and isinstance(x.ctx, ast.Store) for x in _targets(statement))
    ]
    above = [line for line in lines if line < before]
    return Line(code.co_filename, max(above or lines)) if lines else None


def _targets(statement: Any) -> Iterator[ast.AST]:
    """All that stands where a statement assigns to."""
    if isinstance(statement, ast.With):
        owners = [item.optional_vars for item in statement.items if item.optional_vars]
    else:
        owners = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return (node for owner in owners for node in ast.walk(owner))


def _scope(file: str, first: int) -> ast.AST:
    """The function whose first line it is, without those inside; the module where `first` is 0; empty where there is no source."""
    try:
        tree: ast.AST = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):  # a cell with magic commands
        return ast.Module([], [])
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    if first:
        found = [node for node in ast.walk(tree) if isinstance(node, functions)]
        starts = {min([f.lineno, *(decorator.lineno for decorator in getattr(f, "decorator_list", ()))]): f for f in found}
        tree = starts.get(first, ast.Module([], []))
    for node in ast.walk(tree):
        for _, children in ast.iter_fields(node):
            if isinstance(children, list):
                children[:] = [child for child in children if not isinstance(child, functions)]
    return tree
