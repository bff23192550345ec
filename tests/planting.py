"""Bugs planted in source: each mutant has one change, and is compiled from the syntax tree, never written to disk."""

import ast
import inspect
import types
from collections.abc import Callable, Iterator
from typing import NamedTuple

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Div}
SWAPS |= {ast.Mod: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
BOUNDS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
BOUNDS |= {ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
RENAMED = {"maximum": "minimum", "minimum": "maximum", "zeros": "ones", "ones": "zeros", "sin": "cos", "cos": "sin"}
REARRANGING = {
    "swapaxes",
    "transpose",
    "reshape",
    "expand_dims",
    "broadcast_to",
    "astype",
    "array",
    "asarray",
    "_unbroadcast",
    "_transposed",
}


class Mutant(NamedTuple):
    function: str  # the outermost function, or Class.method
    line: str
    what: str
    code: types.CodeType


def changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST]]]:
    """(what, function that makes the changed node) of every bug that can be planted at a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        yield f"{SWAPS[type(node.op)].__name__} for {type(node.op).__name__}", lambda n: ast.BinOp(n.left, SWAPS[type(n.op)](), n.right)
        yield "right operand dropped", lambda n: n.left
        yield "left operand dropped", lambda n: n.right
    elif isinstance(node, ast.AugAssign) and type(node.op) in SWAPS:
        yield "= for accumulation", lambda n: ast.Assign([n.target], n.value)
        yield "write dropped", lambda n: ast.Pass()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield f"{type(node.op).__name__} dropped", lambda n: n.operand
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in BOUNDS:
                yield (
                    f"{BOUNDS[type(op)].__name__} for {type(op).__name__}",
                    lambda n, i=i: ast.Compare(n.left, [BOUNDS[type(o)]() if k == i else o for k, o in enumerate(n.ops)], n.comparators),
                )
        if type(node.ops[0]) in (ast.Lt, ast.Gt, ast.LtE, ast.GtE):
            yield "sides swapped", lambda n: ast.Compare(n.comparators[-1], n.ops, [*n.comparators[:-1], n.left])
    elif isinstance(node, ast.BoolOp):
        yield (
            "or for and" if isinstance(node.op, ast.And) else "and for or",
            lambda n: ast.BoolOp(ast.Or() if isinstance(n.op, ast.And) else ast.And(), n.values),
        )
        for i in range(len(node.values)):
            yield (
                f"operand {i} dropped",
                lambda n, i=i: ast.BoolOp(n.op, n.values[:i] + n.values[i + 1 :]) if len(n.values) > 2 else n.values[1 - i],
            )
    elif isinstance(node, ast.IfExp):
        yield "branches swapped", lambda n: ast.IfExp(n.test, n.orelse, n.body)
    elif isinstance(node, ast.If):
        yield "condition negated", lambda n: ast.If(ast.UnaryOp(ast.Not(), n.test), n.body, n.orelse)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "constant + 1", lambda n: ast.Constant(n.value + 1)
        if node.value:
            yield "constant negated", lambda n: ast.UnaryOp(ast.USub(), n)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "constant flipped", lambda n: ast.Constant(not n.value)
    elif isinstance(node, ast.Lambda) and [argument.arg for argument in node.args.args][:1] == ["g"]:
        yield "pullback negated", lambda n: ast.Lambda(n.args, ast.UnaryOp(ast.USub(), n.body))
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose dropped", lambda n: n.value
    elif isinstance(node, ast.Attribute) and node.attr in RENAMED:
        yield f"{RENAMED[node.attr]} for {node.attr}", lambda n: ast.Attribute(n.value, RENAMED[n.attr], n.ctx)
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "where" and len(node.args) == 3:
            yield "branches swapped", lambda n: ast.Call(n.func, [n.args[0], n.args[2], n.args[1]], n.keywords)
        if name in REARRANGING:
            of_numpy = not isinstance(node.func, ast.Attribute) or getattr(node.func.value, "id", "") == "np"
            yield f"{name} dropped", lambda n: n.args[0] if of_numpy else n.func.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        yield "write dropped", lambda n: ast.Pass()
    elif isinstance(node, ast.Expr) and ast.unparse(node.value).startswith("np.add.at("):
        yield "= for accumulation", lambda n: ast.Assign([ast.Subscript(n.value.args[0], n.value.args[1], ast.Store())], n.value.args[2])
    elif isinstance(node, ast.Continue | ast.Raise):
        yield f"{type(node).__name__.lower()} dropped", lambda n: ast.Pass()
    elif isinstance(node, ast.FunctionDef) and node.name.startswith("pullback"):
        yield "pullback negated", _negated


def _negated(function: ast.FunctionDef) -> ast.FunctionDef:
    """A function that returns minus what it returned."""

    class Negate(ast.NodeTransformer):
        def visit_Return(self, node: ast.Return) -> ast.Return:
            return ast.Return(ast.UnaryOp(ast.USub(), node.value))

    return ast.fix_missing_locations(Negate().visit(ast.parse(ast.unparse(function)).body[0]))


def planted(module: types.ModuleType) -> Iterator[Mutant]:
    """Every mutant of the functions of a module."""
    source = inspect.getsource(module)
    tree, lines = ast.parse(source), source.splitlines()

    def sites(node, function):
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list"):
                continue
            for place, key in [(value, i) for i in range(len(value))] if isinstance(value, list) else [(vars(node), field)]:
                child = place[key]
                if not isinstance(child, ast.AST) or getattr(child, "arg", None) in ("strict", "optimize"):  # change no result
                    continue
                inside = function
                if isinstance(child, ast.ClassDef | ast.FunctionDef) and (not function or isinstance(node, ast.ClassDef)):
                    inside = f"{function}.{child.name}" if function else child.name
                if function and isinstance(child, ast.AST):
                    yield from ((place, key, inside, what, change) for what, change in changes(child))
                yield from sites(child, inside)

    for place, key, function, what, change in list(sites(tree, "")):
        node = place[key]
        place[key] = ast.fix_missing_locations(ast.copy_location(change(node), node))
        code = compile(tree, module.__file__, "exec")
        place[key] = node
        yield Mutant(function, lines[node.lineno - 1].strip(), what, code)


def loaded(module: types.ModuleType, code: types.CodeType) -> types.ModuleType:
    """The code as a module with the name of another, registered nowhere."""
    mutant = types.ModuleType(module.__name__)
    mutant.__package__, mutant.__file__ = module.__package__, module.__file__
    exec(code, vars(mutant))
    return mutant


def unchanged(module: types.ModuleType) -> types.CodeType:
    return compile(inspect.getsource(module), module.__file__, "exec")
