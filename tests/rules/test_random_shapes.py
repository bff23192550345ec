"""Properties that hold whatever the shapes: broadcasting, reductions, indexing, matrix products."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micrograd_plus import Tensor, concatenate, einsum, rules, where
from micrograd_plus.tensor import apply, default_dtype

_binary = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
full_shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
seeds = st.integers(0, 2**32 - 1)


def values(shape, seed):
    """Away from 0, so that quotients stay tame."""
    random = np.random.default_rng(seed)
    return np.asarray(random.uniform(0.5, 2, shape) * random.choice([-1, 1], shape))


def tensors(*arrays):
    return [Tensor(x, requires_grad=True, dtype=np.float64) for x in arrays]


def summed_to(g, shape):
    """The gradient in an input's shape, element by element: each belongs to the input's element that it was computed from."""
    owner = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), g.shape)
    return np.bincount(owner.ravel(), g.ravel(), int(np.prod(shape))).reshape(shape)


@given(st.sampled_from(sorted(_binary)), hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_dims=4, max_side=4), seeds)
def test_broadcast_operations_equal_numpy_and_sum_gradients_to_the_inputs_shapes(name, broadcast, seed):
    a, b = (values(shape, seed + i) for i, shape in enumerate(broadcast.input_shapes))
    x, y = tensors(a, b)
    z = apply(getattr(rules, name), x, y)
    np.testing.assert_array_equal(z.data, _binary[name](a, b))
    g = values(broadcast.result_shape, seed + 2)
    z.backward(g)
    _, pullbacks = getattr(rules, name)(*np.broadcast_arrays(a, b))
    np.testing.assert_allclose(x.grad, summed_to(pullbacks[0](g), a.shape), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(y.grad, summed_to(pullbacks[1](g), b.shape), rtol=1e-10, atol=1e-12)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), seeds)
def test_where_sends_every_cotangent_to_one_branch(broadcast, seed):
    condition, a, b = (values(shape, seed + i) for i, shape in enumerate(broadcast.input_shapes))
    x, y = tensors(a, b)
    z = where(condition > 0, x, y)
    np.testing.assert_array_equal(z.data, np.where(condition > 0, a, b))
    z.backward(np.ones(z.shape))
    assert x.grad.shape == a.shape
    assert y.grad.shape == b.shape
    assert x.grad.sum() + y.grad.sum() == z.size


@given(full_shapes.flatmap(lambda shape: st.tuples(st.just(shape), hnp.valid_tuple_axes(len(shape)))), st.booleans(), seeds)
def test_reductions_over_any_axes_equal_numpy_and_keep_the_sum_of_the_cotangent(shape_and_axes, keepdims, seed):
    shape, axis = shape_and_axes
    a = values(shape, seed)
    for name, shares in {"sum": True, "mean": False, "max": False, "min": False}.items():
        (x,) = tensors(a)
        y = getattr(x, name)(axis, keepdims)
        np.testing.assert_allclose(y.data, getattr(np, name)(a, axis=axis, keepdims=keepdims), rtol=1e-12, atol=1e-13)
        g = values(y.shape, seed + 1)
        y.backward(g)
        assert x.grad.shape == a.shape
        np.testing.assert_allclose(x.grad.sum(), g.sum() * (a.size // y.size if shares else 1), rtol=1e-9, atol=1e-11)


@given(st.data(), hnp.array_shapes(max_dims=3, max_side=4), seeds)
def test_any_index_takes_what_numpy_takes_and_gives_each_element_its_count(data, shape, seed):
    basic = hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    advanced = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    masks = hnp.arrays(bool, shape)
    index = data.draw(st.one_of(basic, advanced, masks))
    a = values(shape, seed)
    (x,) = tensors(a)
    y = x[index]
    np.testing.assert_array_equal(y.data, a[index])
    y.backward(np.ones(y.shape))
    positions = np.arange(a.size).reshape(shape)[index]
    np.testing.assert_array_equal(x.grad, np.bincount(np.ravel(positions), minlength=a.size).reshape(shape))


@given(hnp.mutually_broadcastable_shapes(signature="(m?,k),(k,n?)->(m?,n?)", max_dims=3, max_side=3), seeds)
def test_matmul_of_any_shapes_equals_numpy_and_is_bilinear(broadcast, seed):
    a, b = (values(shape, seed + i) for i, shape in enumerate(broadcast.input_shapes))
    x, y = tensors(a, b)
    z = x @ y
    np.testing.assert_allclose(z.data, np.matmul(a, b), rtol=1e-12, atol=1e-12)
    g = values(broadcast.result_shape, seed + 2)
    z.backward(g)
    assert x.grad.shape == a.shape
    assert y.grad.shape == b.shape
    np.testing.assert_allclose([np.sum(x.grad * a), np.sum(y.grad * b)], np.sum(g * np.matmul(a, b)), rtol=1e-9, atol=1e-9)


@given(st.data(), st.dictionaries(st.sampled_from("ijkl"), st.integers(1, 3), min_size=1), seeds)
def test_einsum_of_any_subscripts_is_linear_in_each_operand(data, sizes, seed):
    letters = st.sampled_from(sorted(sizes))
    terms = data.draw(st.lists(st.text(letters, min_size=1, max_size=3), min_size=1, max_size=3))
    output = data.draw(st.text(st.sampled_from(sorted(set("".join(terms)))), max_size=3).filter(lambda text: len(set(text)) == len(text)))
    subscripts = ",".join(terms) + "->" + output
    arrays = [values([sizes[letter] for letter in term], seed + i) for i, term in enumerate(terms)]
    operands = tensors(*arrays)
    z = einsum(subscripts, *operands)
    np.testing.assert_allclose(z.data, np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)
    g = values(z.shape, seed + 9)
    z.backward(g)
    for k, (operand, array) in enumerate(zip(operands, arrays, strict=True)):
        direction = values(array.shape, seed + 10 + k)
        moved = [*arrays[:k], direction, *arrays[k + 1 :]]
        np.testing.assert_allclose(np.sum(operand.grad * direction), np.sum(g * np.einsum(subscripts, *moved)), rtol=1e-9, atol=1e-9)


@given(st.data(), full_shapes, st.integers(1, 3), seeds)
def test_what_is_concatenated_gets_its_part_of_the_cotangent(data, shape, count, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    arrays = []
    for i, length in enumerate(lengths):
        part = list(shape)
        part[axis] = length
        arrays.append(values(part, seed + i))
    parts = tensors(*arrays)
    z = concatenate(parts, axis)
    np.testing.assert_array_equal(z.data, np.concatenate(arrays, axis))
    g = values(z.shape, seed + 9)
    z.backward(g)
    np.testing.assert_array_equal(np.concatenate([part.grad for part in parts], axis), g)


@given(shapes, seeds, st.sampled_from([np.float32, np.float64]))
@settings(max_examples=30)
def test_a_composition_keeps_shape_and_dtype(shape, seed, dtype):
    with default_dtype(dtype):
        x = Tensor(values(shape, seed), requires_grad=True)
        y = (x.tanh() * 2 + x.relu() / 3 - x.exp() * x.sigmoid()).T
        y.sum().backward()
    assert y.shape == shape[::-1]
    assert x.grad.shape == shape
    assert y.dtype == x.grad.dtype == dtype
