"""Where a module raises, and which of those places a table of calls does not reach.

A table holds (call, type of its error, text of its error); the tests of the texts are beside the table.
"""

import ast
import inspect
import traceback


def raising_lines(module, elsewhere=()):
    """The first and last line of every raise and require of a module, by the function or class that holds it."""
    found = {}

    def visit(node, owners):
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            raises = isinstance(child, ast.Raise) and child.exc is not None
            requires = isinstance(child, ast.Call) and ast.unparse(child.func) == "effects.require"
            if (raises or requires) and not set(owners) & set(elsewhere):
                found[child.lineno, child.end_lineno] = ".".join(owners)
            visit(child, (*owners, child.name) if named else owners)

    visit(ast.parse(inspect.getsource(module)), ())
    return found


def unreached(module, messages, elsewhere=()):
    """The raises and requires of a module that no call of the table reaches, but for those in the functions `elsewhere`."""
    reached = set()
    for call, _, _ in messages:
        try:
            call()
        except Exception as error:
            reached |= {(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)}
    return [
        f"{module.__name__}.{owner}, line {first}"
        for (first, last), owner in raising_lines(module, elsewhere).items()
        if not any((module.__file__, line) in reached for line in range(first, last + 1))
    ]
