"""The text of every error: what must hold, what was given, what to do."""

import ast
import copy
import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, concatenate, einsum, from_numpy, gradients, rules, stack, tensor, unstack, where, zeros
from micrograd_plus.tensor import apply, default_dtype


def needs():
    return Tensor([1.0, 2.0], requires_grad=True)


def freed():
    y = (needs() * 2).sum()
    y.backward()
    return y


def wrong_pullback(x):
    return x * 2, (lambda g: g[:1],)


def assign(obj, name, value):
    setattr(obj, name, value)


_other = "on Tensors takes other arguments than on arrays"

MESSAGES = {
    # backward and gradients
    "backward on several elements": (
        lambda: zeros(32, 10, requires_grad=True).backward(),
        RuntimeError,
        "backward() needs a scalar, got shape (32, 10). Reduce it first with .mean() or .sum(), or pass gradient=.",
    ),
    "gradients of several elements": (
        lambda: gradients(needs(), [needs()]),
        RuntimeError,
        "backward() needs a scalar, got shape (2,). Reduce it first with .mean() or .sum(), or pass gradient=.",
    ),
    "a cotangent of another shape": (
        lambda: needs().backward(np.ones((2, 1))),
        ValueError,
        "gradient= must have the output's shape (2,), got (2, 1).",
    ),
    "a cotangent Tensor of another shape": (
        lambda: gradients(needs(), [needs()], gradient=Tensor([1.0]), create_graph=True),
        ValueError,
        "gradient= must have the output's shape (2,), got (1,).",
    ),
    "a freed graph": (
        lambda: freed().backward(),
        RuntimeError,
        "backward() needs the whole graph, but an earlier backward() through it has freed a part. "
        "Compute the loss anew, or call the earlier one as backward(retain_graph=True).",
    ),
    "an input without requires_grad": (
        lambda: gradients(needs().sum(), [needs(), Tensor([3.0])]),
        ValueError,
        "gradients() needs inputs that require gradients, input 1 doesn't: Tensor([3.]). "
        "Set requires_grad=True before computing the output.",
    ),
    "an input that is an array": (
        lambda: gradients(needs().sum(), [np.ones(1)]),
        ValueError,
        "gradients() needs inputs that require gradients, input 0 doesn't: array([1.]). "
        "Set requires_grad=True before computing the output.",
    ),
    "gradients of a number": (
        lambda: gradients(needs().sum().item(), [needs()]),
        TypeError,
        "gradients() needs a Tensor as its output, got float. Pass the result itself, not its value.",
    ),
    "a pullback of a wrong shape": (
        lambda: apply(wrong_pullback, needs()).sum().backward(),
        RuntimeError,
        "a pullback must return its input's shape, or one that it broadcasts to; one of wrong_pullback "
        "returned (1,) for an input of shape (2,). Mend the rule.",
    ),
    "gelu approximated by something else": (
        lambda: needs().gelu("sigmoid"),
        ValueError,
        "approximate must be 'none' or 'tanh', got 'sigmoid'.",
    ),
    # attributes
    "an integer tensor that requires a gradient": (
        lambda: Tensor(np.array([1, 2]), requires_grad=True),
        TypeError,
        "only floating tensors can require gradients, got dtype int64. Make the tensor with dtype=np.float32, or from floats.",
    ),
    "an integer tensor told to require a gradient": (
        lambda: assign(Tensor(np.array([True])), "requires_grad", True),
        TypeError,
        "only floating tensors can require gradients, got dtype bool. Make the tensor with dtype=np.float32, or from floats.",
    ),
    "integers by from_numpy": (
        lambda: from_numpy(np.array([1]), requires_grad=True),
        TypeError,
        "only floating tensors can require gradients, got dtype int64. Make the tensor with dtype=np.float32, or from floats.",
    ),
    "a result told to need no gradient": (
        lambda: assign(needs() * 2, "requires_grad", False),
        RuntimeError,
        "requires_grad can be cleared on leaves only; this tensor is the result of an operation. Use .detach().",
    ),
    "data of another shape": (
        lambda: assign(needs(), "data", [1.0]),
        ValueError,
        "data must keep its shape (2,), got (1,). Make a new Tensor for another shape.",
    ),
    "a gradient of another shape": (
        lambda: assign(needs(), "grad", np.ones((2, 2))),
        ValueError,
        "grad must have its tensor's shape (2,), got (2, 2).",
    ),
    # values
    "item of several elements": (
        lambda: needs().item(),
        ValueError,
        "item() needs a tensor of one element, got shape (2,). Reduce or index it first.",
    ),
    "float of several elements": (
        lambda: float(needs()),
        ValueError,
        "item() needs a tensor of one element, got shape (2,). Reduce or index it first.",
    ),
    "length of a scalar": (
        lambda: len(Tensor(1.0)),
        TypeError,
        "len() needs a tensor of at least one axis, got shape (). Use .item() for its value.",
    ),
    "iterating over a scalar": (
        lambda: iter(Tensor(1.0)),
        TypeError,
        "len() needs a tensor of at least one axis, got shape (). Use .item() for its value.",
    ),
    "assigning an element under recording": (
        lambda: needs().__setitem__(0, 5.0),
        RuntimeError,
        "an element can't be assigned where the tensor requires a gradient: the graph would not know of it. "
        "Build the tensor with where(), concatenate() or stack(), or assign within no_grad().",
    ),
    "deep copy of a result": (
        lambda: copy.deepcopy(needs() * 2),
        RuntimeError,
        "only leaves can be deep-copied; this tensor is the result of an operation. Copy its .detach().",
    ),
    # construction
    "ragged lists": (
        lambda: Tensor([[1.0], [2.0, 3.0]]),
        ValueError,
        "a tensor needs rows of equal length, got a ragged list: setting an array element with a sequence. The requested array has an "
        "inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part..",
    ),
    "text": (
        lambda: Tensor("one"),
        TypeError,
        "a tensor holds real numbers or bools, got str of dtype <U3. Convert it first.",
    ),
    "complex numbers": (
        lambda: Tensor(np.array([1j])),
        TypeError,
        "a tensor holds real numbers or bools, got ndarray of dtype complex128. Convert it first.",
    ),
    "None": (
        lambda: Tensor(None),
        TypeError,
        "a tensor holds real numbers or bools, got NoneType of dtype object. Convert it first.",
    ),
    "complex numbers in arithmetic": (
        lambda: needs() * np.array([1j]),
        TypeError,
        "a tensor holds real numbers or bools, got ndarray of dtype complex128. Convert it first.",
    ),
    "None in arithmetic": (
        lambda: needs() + None,
        TypeError,
        "a tensor holds real numbers or bools, got NoneType of dtype object. Convert it first.",
    ),
    "a complex dtype": (
        lambda: Tensor([1.0], dtype=np.complex64),
        TypeError,
        "a tensor holds real numbers or bools, not dtype complex64. Pass a floating, integer or bool dtype.",
    ),
    "an integer default dtype": (
        lambda: default_dtype(np.int32).__enter__(),
        TypeError,
        "the default dtype must be a floating one, got int32. Pass np.float32 or np.float64.",
    ),
    # NumPy's protocols
    "an array of a tensor that needs a gradient": (
        lambda: np.asarray(needs()),
        RuntimeError,
        "a tensor that requires a gradient can't silently become an array: the graph would be cut there. "
        "Use .detach() (or .numpy(), .data) if that is meant; stack() and concatenate() join tensors.",
    ),
    "out=": (
        lambda: np.exp(needs(), out=np.empty(2, np.float32)),
        TypeError,
        "only plain calls of NumPy's functions work on Tensors, not out= of np.exp. Write it without.",
    ),
    "where=": (
        lambda: np.add(needs(), 1, where=np.array([True, False])),
        TypeError,
        "only plain calls of NumPy's functions work on Tensors, not where= of np.add. Write it without.",
    ),
    "reduce": (
        lambda: np.add.reduce(needs()),
        TypeError,
        "only plain calls of NumPy's functions work on Tensors, not np.add.reduce. Write it without.",
    ),
    "a ufunc without a rule": (
        lambda: np.arctan2(needs(), 1.0),
        TypeError,
        "np.arctan2 has no derivative rule here. Compose it of others, or use .detach() or .data to go without.",
    ),
    "a function without a rule": (
        lambda: np.cumprod(needs()),
        TypeError,
        "np.cumprod has no derivative rule here. Compose it of others, or use .detach() or .data to go without.",
    ),
    "an argument that Tensors don't take": (
        lambda: np.sum(needs(), dtype=np.float64),
        TypeError,
        f"np.sum {_other}: got an unexpected keyword argument 'dtype'.",
    ),
    "an argument in another's place": (
        lambda: np.sum(needs(), 0, np.float64),
        TypeError,
        f"np.sum {_other}: takes from 1 to 2 positional arguments but 3 were given.",
    ),
    "no argument where there must be one": (
        lambda: np.where(needs()),
        TypeError,
        f"np.where {_other}: missing 2 required positional arguments: 'x' and 'y'.",
    ),
    "a bound that is a tensor": (
        lambda: needs().clip(needs()),
        TypeError,
        "clip: the bounds must be numbers or arrays, got a Tensor. Use maximum() and minimum() for those.",
    ),
    "an upper bound that is a tensor, of an array": (
        lambda: np.clip(np.ones(2), None, Tensor([1.0, 2.0])),
        TypeError,
        "clip: the bounds must be numbers or arrays, got a Tensor. Use maximum() and minimum() for those.",
    ),
    "text where a tensor belongs": (
        lambda: np.where([True, False], needs(), "a"),
        TypeError,
        "a tensor holds real numbers or bools, got str of dtype <U1. Convert it first.",
    ),
    # what NumPy raised, explained
    "a shape that can't be broadcast to another": (
        lambda: np.broadcast_to(zeros(2), (3,)),
        ValueError,
        "broadcast_to: operands could not be broadcast together with remapped shapes [original->remapped]: (2,)  and requested shape (3,) "
        "(input shape (2,))",
    ),
    "a difference of bools": (
        lambda: Tensor(np.array([True])) - Tensor(np.array([True])),
        TypeError,
        "subtract: numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, or the logical_xor "
        "function instead. (input shapes (1,) and (1,))",
    ),
    "shapes that don't broadcast": (
        lambda: zeros(2, 3) + zeros(2),
        ValueError,
        "add: shapes must broadcast (from the right, axes must be equal or one of them 1), got (2, 3) and (2,). "
        "Reshape one of them, for instance with .unsqueeze(axis).",
    ),
    "an array's shape that doesn't broadcast": (
        lambda: np.ones(2) * zeros(2, 3),
        ValueError,
        "multiply: shapes must broadcast (from the right, axes must be equal or one of them 1), got (2,) and (2, 3). "
        "Reshape one of them, for instance with .unsqueeze(axis).",
    ),
    "where's shapes that don't broadcast": (
        lambda: where([True, False], zeros(2), zeros(3)),
        ValueError,
        "where: shapes must broadcast (from the right, axes must be equal or one of them 1), got (2,) and (2,) and (3,). "
        "Reshape one of them, for instance with .unsqueeze(axis).",
    ),
    "a matrix product of unlike lengths": (
        lambda: zeros(2, 3) @ zeros(2, 3),
        ValueError,
        "matmul: the last axis of the left operand must be as long as the second to last of the right, or its only one; "
        "got shapes (2, 3) and (2, 3). Transpose or reshape one of them.",
    ),
    "a matrix product with a scalar": (
        lambda: zeros(2, 3) @ Tensor(2.0),
        ValueError,
        "matmul: the last axis of the left operand must be as long as the second to last of the right, or its only one; "
        "got shapes (2, 3) and (). Transpose or reshape one of them.",
    ),
    "a layer's input of an unlike length": (
        lambda: apply(rules.affine, zeros(2, 3), zeros(4, 5), zeros(5)),
        ValueError,
        "affine: the last axis of the left operand must be as long as the second to last of the right, or its only one; "
        "got shapes (2, 3) and (4, 5) and (5,). Transpose or reshape one of them.",
    ),
    "an index out of range": (
        lambda: zeros(3)[5],
        IndexError,
        "getitem: index 5 is out of bounds for axis 0 with size 3 (input shape (3,))",
    ),
    "a reshape to another size": (
        lambda: zeros(2, 3).reshape(4),
        ValueError,
        "reshape: cannot reshape array of size 6 into shape (4,) (input shape (2, 3))",
    ),
    "a reduction over an axis that is not there": (
        lambda: zeros(2, 3).sum(axis=2),
        IndexError,
        "sum: axis 2 is out of bounds for array of dimension 2 (input shape (2, 3))",
    ),
    "axes to swap that are not there": (
        lambda: np.swapaxes(zeros(2, 3), 0, 2),
        np.exceptions.AxisError,
        "axis 2 is out of bounds for array of dimension 2",
    ),
    "einsum's operands first": (
        lambda: einsum(zeros(2), [0]),
        TypeError,
        "einsum: subscripts must be a string such as 'ij,jk->ik', before the operands, got Tensor.",
    ),
    "more subscripts than operands": (
        lambda: einsum("ij,jk->ik", zeros(2, 3)),
        ValueError,
        "einsum: more operands provided to einstein sum function than specified in the subscripts string (input shape (2, 3))",
    ),
    "joining unlike shapes": (
        lambda: stack([zeros(2), zeros(3)]),
        ValueError,
        "stack: all input arrays must have the same shape (input shapes (2,) and (3,))",
    ),
    "parting a number": (
        lambda: unstack(Tensor(1.0)),
        ValueError,
        "unstack: Input array must be at least 1-d. (input shape ())",
    ),
    "joining unlike lengths": (
        lambda: concatenate([zeros(2, 3), zeros(2, 2)]),
        ValueError,
        "concatenate: all the input array dimensions except for the concatenation axis must match exactly, but along dimension 1, "
        "the array at index 0 has size 3 and the array at index 1 has size 2 (input shapes (2, 3) and (2, 2))",
    ),
    "joining nothing": (
        lambda: concatenate([]),
        ValueError,
        "concatenate: need at least one array to concatenate (input shapes none)",
    ),
}


@pytest.mark.parametrize(("act", "kind", "text"), MESSAGES.values(), ids=MESSAGES)
def test_message(act, kind, text):
    with pytest.raises(kind) as error:
        act()
    assert type(error.value) is kind
    assert str(error.value) == text


def test_einsum_of_unlike_sizes_names_the_shapes():
    with pytest.raises(ValueError, match=r"^einsum: .* \(input shapes \(2, 3\) and \(2, 3\)\)$"):
        einsum("ij,jk->ik", zeros(2, 3), zeros(2, 3))


def test_what_numpy_raised_is_chained():
    with pytest.raises(ValueError, match="shapes must broadcast") as error:
        zeros(2) + zeros(3)
    assert "could not be broadcast" in str(error.value.__cause__)


def test_a_rule_without_a_name_is_named_by_its_repr():
    class Rule:
        def __call__(self, x):
            raise ValueError("no")

        def __repr__(self):
            return "<my rule>"

    with pytest.raises(ValueError, match=r"^<my rule>: no \(input shape \(1,\)\)$"):
        apply(Rule(), Tensor([1.0]))


def test_errors_of_other_kinds_pass_through():
    def broken(x):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        apply(broken, Tensor([1.0]))


def test_every_raise_in_the_module_is_among_these():
    """Each message's fixed beginning occurs in a text above."""
    texts = [text for _, _, text in MESSAGES.values()]
    missing = []
    for node in ast.walk(ast.parse(inspect.getsource(tensor))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            message = node.exc.args[0]
            parts = message.values if isinstance(message, ast.JoinedStr) else [message]
            fixed = [part.value for part in parts if isinstance(part, ast.Constant)]
            if fixed and not any(all(piece in text for piece in fixed[:2]) for text in texts):
                missing.append((node.lineno, fixed))
    assert not missing


def test_the_check_for_missing_messages_finds_raises():
    source = ast.parse(inspect.getsource(tensor))
    assert sum(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(source)) > 18
