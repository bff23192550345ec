"""Losses of many kinds: what the tools that explain a graph are tried on. Each is a function of nothing, the same every time."""

import numpy as np

import micrograd_plus as mg
from micrograd_plus import Tensor, apply, gradients
from micrograd_plus.layers import Module
from micrograd_plus.transforms import checkpoint, custom_rule


def leaf(*shape, seed=0, low=0.2, high=1.5):
    return Tensor(np.random.default_rng(seed).uniform(low, high, shape), requires_grad=True)


def sum_and_product():
    a, b = Tensor(2.0, requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    c = a * b + a
    return (c**2 + 1).sum()


def used_twice():
    x = leaf(3)
    y = x * x
    return (y * y + x).sum() / x.mean()


def broadcast():
    return (leaf(2, 1, 3) * leaf(4, 1, seed=1) - leaf(3, seed=2) / leaf(seed=3)).tanh().mean()


def mlp():
    mg.set_seed(1)
    model = mg.Sequential(mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 2))
    return mg.CrossEntropyLoss()(model(np.array([[0.5, -1.0, 2.0], [1.0, 0.3, -0.2]])), np.array([1, 0]))


def convolutional():
    mg.set_seed(2)
    layers = (mg.Conv2d(1, 2, 3), mg.BatchNorm(2), mg.ReLU(), mg.MaxPool2d(2), mg.Flatten(), mg.Linear(2, 2))
    return mg.MSELoss()(mg.Sequential(*layers)(np.random.default_rng(0).standard_normal((2, 1, 4, 4))), np.ones((2, 2)))


def recurrent():
    mg.set_seed(3)
    model = mg.LSTM(2, 2)
    out, (_, c) = model(np.random.default_rng(1).standard_normal((2, 1, 2)))
    return (out * out).sum() + c.sum()


class GPT(Module):
    """The model of examples/char_gpt.py, small."""

    def __init__(self):
        self.tokens, self.positions = mg.Embedding(5, 4), mg.Embedding(3, 4)
        self.layer = mg.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, norm_first=True)
        self.norm, self.head = mg.LayerNorm(4), mg.Linear(4, 5)

    def forward(self, x):
        hidden = self.layer(self.tokens(x) + self.positions(np.arange(x.shape[1])), is_causal=True)
        return self.head(self.norm(hidden))


def gpt():
    mg.set_seed(4)
    return mg.CrossEntropyLoss()(GPT()(np.array([[0, 3, 1]])).reshape(-1, 5), np.array([3, 1, 4]))


def second_order():
    x = leaf(2)
    (slope,) = gradients((x**3).sum(), [x], create_graph=True)
    return (slope * slope).sum() + x.exp().sum()


def parts():
    x = leaf(3, 2)
    first, _, last = mg.unstack(x)
    return (first * last).sum() + (first + 1.0).log().sum()


def one_part_unused():
    out, _, _ = apply(mg.rules.standardize, leaf(2, 3), axis=(1,), eps=1e-5)
    return (out * leaf(2, 3, seed=5)).sum()


def checkpointed():
    w = leaf(2, 2)
    return checkpoint(lambda x: (x @ w).tanh(), leaf(2, seed=1)).sum() + w.sum()


@custom_rule
def cube(x):
    return x**3, (lambda g: 3 * g * x**2,)


def own_rule():
    return cube(leaf(2)).sum()


def one_leaf():
    return Tensor(3.0, requires_grad=True)


GRAPHS = {
    function.__name__: function
    for function in (
        *(sum_and_product, used_twice, broadcast, mlp, convolutional, recurrent, gpt, second_order, parts, one_part_unused),
        *(checkpointed, own_rule, one_leaf),
    )
}
UNROLLED = [name for name in GRAPHS if name not in ("checkpointed", "own_rule")]


def in_float64(function):
    with mg.default_dtype(np.float64):
        return function()
