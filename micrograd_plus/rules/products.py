"""Matrix products and Einstein sums."""

import math
import string

import numpy as np

from .rule import Array, Pulled


def _product(x: Array, y: Array) -> Array:
    """x @ y; a stack of matrices times one matrix is a single product, where NumPy would make one for each."""
    if x.ndim > 2 and y.ndim == 2:
        return (_rows(x) @ y).reshape(*x.shape[:-1], y.shape[-1])
    return x @ y


def _rows(x: Array) -> Array:
    """A stack of matrices as one, its rows below one another."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # and not -1, which has no meaning where an axis is empty


def _transposed(x: Array) -> Array:
    """Each matrix of a stack transposed."""
    return x.T if x.ndim == 2 else np.swapaxes(x, -1, -2)


def matmul(x: Array, y: Array) -> Pulled:
    """x @ y, as NumPy: (..., m, k) @ (..., k, n); a one-dimensional x is a row, a one-dimensional y a column."""

    def pullback_x(g: Array) -> Array:
        if y.ndim == 1:
            return g[..., None] * y
        if x.ndim == 1:
            return (y @ g[..., None])[..., 0]
        return _product(g, _transposed(y))

    def pullback_y(g: Array) -> Array:
        if x.ndim == 1:
            return x * g if y.ndim == 1 else x[:, None] * g[..., None, :]
        if y.ndim == 1:
            return (_transposed(x) @ g[..., None])[..., 0]
        if y.ndim == 2 and x.ndim > 2:
            return _rows(x).T @ _rows(g)
        return _transposed(x) @ g

    return _product(x, y), (pullback_x, pullback_y)


def affine(x: Array, weight: Array, bias: Array) -> Pulled:
    """x @ weight + bias: x (..., in), weight (in, out), bias (out,)."""
    product, pullbacks = matmul(x, weight)
    return product + bias, (*pullbacks, lambda g: g)


def einsum(*operands: Array, subscripts: str) -> Pulled:
    """Einstein summation, `subscripts` as NumPy's string form, ellipsis and repeated indices included.

    The cotangent of an operand is the sum of the output's cotangent with the other operands, over all indices that this
    operand lacks. Two cases need care: an index repeated within the operand puts the cotangent on a diagonal, and along
    an index that only this operand has, and the output has not, the cotangent is constant.
    """
    value = np.einsum(subscripts, *operands, optimize=len(operands) > 1)
    terms, output = _explicit(subscripts, [np.ndim(x) for x in operands])

    def pullback(k: int, g: Array) -> Array:
        shape = np.shape(operands[k])
        unused = (letter for letter in string.ascii_letters if letter not in "".join([output, *terms]))
        sources = [(output, g), *((term, x) for i, (term, x) in enumerate(zip(terms, operands, strict=True)) if i != k)]
        target = ""
        for letter, size in zip(terms[k], shape, strict=True):
            if letter in target:
                twin = next(unused)
                sources.append((letter + twin, np.eye(size, dtype=g.dtype)))
                letter = twin
            target += letter
        present = "".join(term for term, _ in sources)
        lacking = tuple(axis for axis, letter in enumerate(target) if letter not in present)
        kept = "".join(letter for letter in target if letter in present)
        out = np.einsum(",".join(term for term, _ in sources) + "->" + kept, *(x for _, x in sources), optimize=True)
        out = np.expand_dims(out, lacking)
        return np.broadcast_to(out, np.broadcast_shapes(out.shape, shape))

    return value, tuple(lambda g, k=k: pullback(k, g) for k in range(len(operands)))


def _explicit(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """The subscripts of the operands and of the output, the latter written out and each ellipsis replaced by letters."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = ("..." if "..." in inputs else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    unused = "".join(letter for letter in string.ascii_letters if letter not in inputs + output)
    widths = [ndim - len(term.replace(".", "")) for term, ndim in zip(terms, ndims, strict=True)]
    widest = unused[: max((width for width, term in zip(widths, terms, strict=True) if "..." in term), default=0)]
    terms = [term.replace("...", widest[len(widest) - width :]) for width, term in zip(widths, terms, strict=True)]
    return terms, output.replace("...", widest)
