"""Recurrent layers and cells, and embeddings with padding, beside PyTorch's: outputs, gradients and second order in float64."""

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, gradients, layers
from micrograd_plus.tensor import default_dtype

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

KINDS = {
    "RNN": {},
    "RNN, relu": {"nonlinearity": "relu"},
    "LSTM": {},
    "GRU": {},
}
N, IN, HIDDEN, TIMES = 2, 3, 4, 5


def twins(kind, *args, cell=False, **settings):
    """Our module and PyTorch's, with the same random parameters, in float64."""
    name = kind.partition(",")[0] + ("Cell" if cell else "")
    settings |= KINDS[kind]
    with default_dtype(np.float64):
        ours = getattr(layers, name)(*args, generator=np.random.default_rng(1), **settings)
    theirs = getattr(torch.nn, name)(*args, **settings).double()
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    with torch.no_grad():
        for key, parameter in theirs.named_parameters():
            parameter.copy_(torch.tensor(getattr(ours, key).data.T))
    return ours, theirs


def flat(results):
    """The tensors of nested tuples."""
    return [part for result in results for part in flat(result)] if isinstance(results, tuple) else [results]


def compared(ours, theirs, arrays, call, seed=2):
    """Outputs, gradients of their projection on random cotangents, and gradients of a projection of those, here and there.

    Args:
        ours, theirs: modules.
        arrays: what they are given, as NumPy arrays.
        call: from a module and its inputs to its outputs, in tuples.
        seed: of the random cotangents.
    """
    parameters = [key for key, _ in ours.named_parameters()]
    with default_dtype(np.float64):
        inputs = [Tensor(array, requires_grad=True) for array in arrays] + [getattr(ours, key) for key in parameters]
        outputs = flat(call(ours, *inputs[: len(arrays)]))
        random = np.random.default_rng(seed)
        cotangents = [random.standard_normal(output.shape) for output in outputs]
        directions = [random.standard_normal(x.shape) for x in inputs]
        loss = sum((output * g).sum() for output, g in zip(outputs, cotangents, strict=True))
        slopes = gradients(loss, inputs, create_graph=True)
        curvatures = gradients(sum((slope * v).sum() for slope, v in zip(slopes, directions, strict=True)), inputs)
    transposed = [array.T for array in directions[len(arrays) :]]
    theirs_in = [torch.tensor(array, requires_grad=True) for array in arrays] + [getattr(theirs, key) for key in parameters]
    expected = flat(call(theirs, *theirs_in[: len(arrays)]))
    loss = sum((output * torch.tensor(g)).sum() for output, g in zip(expected, cotangents, strict=True))
    expected_slopes = torch.autograd.grad(loss, theirs_in, create_graph=True)
    along = zip(expected_slopes, directions[: len(arrays)] + transposed, strict=True)
    projection = sum((slope * torch.tensor(v)).sum() for slope, v in along)
    expected_curvatures = torch.autograd.grad(projection, theirs_in, materialize_grads=True)
    assert len(outputs) == len(expected)
    for found, wanted in zip(outputs, expected, strict=True):
        assert found.shape == tuple(wanted.shape)
        np.testing.assert_allclose(found.data, wanted.detach(), rtol=1e-10, atol=1e-12)
    for ours_found, theirs_found in ((slopes, expected_slopes), (curvatures, expected_curvatures)):
        for i, (found, wanted) in enumerate(zip(ours_found, theirs_found, strict=True)):
            there = wanted.detach().numpy()
            np.testing.assert_allclose(found.data, there if i < len(arrays) else there.T, rtol=1e-9, atol=1e-11)


def arrays_for(kind, shape, lead):
    """An input, and states whose axes but the last are `lead`."""
    random = np.random.default_rng(0)
    return [random.standard_normal(shape), *random.standard_normal((2 if kind == "LSTM" else 1, *lead, HIDDEN))]


def with_state(module, x, *states):
    """A call with h_0, and c_0 of an LSTM."""
    return module(x, states if len(states) > 1 else states[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("given", [True, False])
def test_layer(kind, num_layers, bidirectional, bias, batch_first, given):
    ours, theirs = twins(kind, IN, HIDDEN, num_layers, bias=bias, bidirectional=bidirectional, batch_first=batch_first)
    arrays = arrays_for(kind, (N, TIMES, IN) if batch_first else (TIMES, N, IN), (num_layers * (1 + bidirectional), N))
    compared(ours, theirs, arrays if given else arrays[:1], with_state if given else lambda module, x: module(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_layer_with_dropout_of_nothing_in_training_and_of_half_in_evaluation(kind, training):
    ours, theirs = twins(kind, IN, HIDDEN, 2, bidirectional=True, dropout=0.0 if training else 0.5)
    compared(ours.train(training), theirs.train(training), arrays_for(kind, (TIMES, N, IN), (4, N)), with_state)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_layer_of_one_sequence_without_a_batch(kind, given, batch_first):
    ours, theirs = twins(kind, IN, HIDDEN, 2, bidirectional=True, batch_first=batch_first)
    arrays = arrays_for(kind, (TIMES, IN), (4,))
    compared(ours, theirs, arrays if given else arrays[:1], with_state if given else lambda module, x: module(x))


@pytest.mark.parametrize("lead", [(N,), ()])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cell(kind, bias, given, lead):
    ours, theirs = twins(kind, IN, HIDDEN, bias=bias, cell=True)
    arrays = arrays_for(kind, (*lead, IN), lead)
    compared(ours, theirs, arrays if given else arrays[:1], with_state if given else lambda module, x: module(x))


@pytest.mark.parametrize("kind", KINDS)
def test_layer_in_float32_over_fifty_times(kind):
    ours, theirs = twins(kind, 8, 16, 2)
    theirs = theirs.float()
    single = type(ours)(8, 16, 2, **KINDS[kind])
    single.load_state_dict(ours.state_dict())
    x = np.random.default_rng(0).standard_normal((50, 3, 8)).astype(np.float32)
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = single(a)[0], theirs(b)[0]
    g = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-3, atol=1e-4)
    for key, parameter in single.named_parameters():
        np.testing.assert_allclose(parameter.grad, getattr(theirs, key).grad.numpy().T, rtol=1e-3, atol=1e-3)


# -- embeddings ----------------------------------------------------------------------------------------------------------

INDICES = np.array([[1, 5, 1, 0], [4, 0, 5, 1]])


@pytest.mark.parametrize("padding_idx", [None, 0, 1, 5, -1, -5, -6])
def test_embedding_with_padding_to_second_order(padding_idx):
    with default_dtype(np.float64):
        ours = layers.Embedding(6, 3, padding_idx)
    theirs = torch.nn.Embedding(6, 3, padding_idx, dtype=torch.float64)
    assert ours.padding_idx == theirs.padding_idx
    assert np.array_equal(~ours.weight.data.any(1), ~theirs.weight.detach().numpy().any(1))
    table = np.random.default_rng(0).standard_normal((6, 3))  # with numbers in the padding's row, which are looked up
    ours.weight.data[...] = table
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(table))
    c, d = np.random.default_rng(1).standard_normal((2, *INDICES.shape, 3))
    v = np.random.default_rng(2).standard_normal((6, 3))
    y, z = ours(INDICES), theirs(torch.tensor(INDICES))
    np.testing.assert_array_equal(y.data, z.detach())
    (slope,) = gradients((y * c + y * y * d).sum(), [ours.weight], create_graph=True)
    (curvature,) = gradients((slope * v).sum(), [ours.weight])
    (expected,) = torch.autograd.grad((z * torch.tensor(c) + z * z * torch.tensor(d)).sum(), theirs.weight, create_graph=True)
    (wanted,) = torch.autograd.grad((expected * torch.tensor(v)).sum(), theirs.weight)
    np.testing.assert_allclose(slope.data, expected.detach(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(curvature.data, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("padding_idx", [2, -6, None])
def test_functional_embedding_with_padding(padding_idx):
    table = np.random.default_rng(0).standard_normal((6, 3))
    ours, theirs = Tensor(table, requires_grad=True, dtype=np.float64), torch.tensor(table, requires_grad=True)
    y = functional.embedding(INDICES, ours, padding_idx)
    z = torch.nn.functional.embedding(torch.tensor(INDICES), theirs, padding_idx)
    np.testing.assert_array_equal(y.data, z.detach())
    g = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-13)
