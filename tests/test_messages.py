"""The text of every error that the modules from functional to utils raise: what must hold, what was given, what to do.

Each entry is a call, the type of its error and the whole text. A test reads the source and fails for a `raise` or a
`require` that no entry reaches.
"""

import itertools

import numpy as np
import pytest

from micrograd_plus import (
    Tensor,
    apply,
    effects,
    files,
    functional,
    gradcheck,
    init,
    layers,
    losses,
    nn,
    optimizers,
    progress,
    scalar,
    utils,
)

from .raising import unreached

MODULES = [effects, init, nn, utils, scalar, files, progress]
MODULES += [gradcheck.check, gradcheck.comparison, gradcheck.diagnosis, gradcheck.differences, gradcheck.findings, gradcheck.uses]
MODULES += [functional.feedforward]
MODULES += [layers.module, layers.feedforward, layers.activations]
MODULES += [losses.classification, losses.reduction, losses.regression]
MODULES += [optimizers.clipping, optimizers.schedules, optimizers.updates]
ELSEWHERE = {  # what is tested with the module, for it needs files or a missing library
    "_safetensors": "test_nn",
    "load_model": "test_nn",
    "get_memory_usage": "test_utils",
    "replacing": "test_files",
    "ProgressBar": "test_progress",
    "require": "raises what it is given",
}


def parameter(*shape):
    return Tensor(np.zeros(shape), requires_grad=True)


def sgd(**settings):
    return optimizers.SGD([parameter(2)], **settings)


def a_generator():
    return (x for x in ())


def nan_in_one_place(x):
    """x with a pullback that gives NaN where x is 2."""
    return x * 1.0, (lambda g: np.where(x == 2, np.nan, g),)


def with_another_group(schedule):
    made = schedule(sgd(), 0.5)
    made.optimizer.add_param_group({"params": [parameter(2)]})
    return made


SGD = sgd(momentum=0.5)
TWICE = parameter(2, 3)
SHAPES = "predictions and targets must have the same shape, got {} and {}. Reshape one, for instance targets.reshape(-1, 1): "
SHAPES += "broadcasting would compare every prediction with every target."
CLASSES = "{} needs {} of shape (N, C) and labels of shape (N,), got {} and {}. {}"
REDUCTION = "reduction must be one of ('mean', 'sum', 'none'), got {!r}."
ACCURACY = "accuracy needs scores (N, C > 1) or classes (N,), and targets (N,), got {} and {}. "
ACCURACY += "Turn one-hot targets into classes by .argmax(1), binary scores (N, 1) by (scores > 0).reshape(-1)."
FOUND = "; a Module finds layers, and tensors with requires_grad=True, in its attributes."
FINITE = "a gradient check needs finite numbers, {}. Check at another point, or mend what divides by 0 or overflows there."
COUNT = itertools.cycle([1.0, 2.0])
NO_BATCH = "a data loader must yield at least one batch, got none. An iterator can be used once only: pass a DataLoader."

MESSAGES = [
    # effects
    (lambda: effects.set_seed(-1), ValueError, "a seed must be in [0, 2**32), got -1."),
    (lambda: effects.set_seed(2**32), ValueError, "a seed must be in [0, 2**32), got 4294967296."),
    # functional
    (
        lambda: functional.embedding([0, 3], parameter(3, 2)),
        ValueError,
        "embedding indices must be in [0, 3), got 3.",
    ),
    (lambda: functional.embedding([-1], parameter(3, 2)), ValueError, "embedding indices must be in [0, 3), got -1."),
    (
        lambda: functional.embedding([0.5], parameter(3, 2)),
        ValueError,
        "embedding indices must be whole numbers, got 0.5.",
    ),
    (
        lambda: functional.embedding(np.array(["a"]), parameter(3, 2)),
        TypeError,
        "embedding indices must be whole numbers, got dtype <U1. Pass an int array.",
    ),
    (
        lambda: functional.embedding(np.array([True]), parameter(3, 2)),
        TypeError,
        "embedding indices must be whole numbers, got dtype bool. Pass an int array.",
    ),
    (
        lambda: functional.embedding([0], parameter(3, 2), 3),
        ValueError,
        "padding_idx of an embedding with 3 rows must be in [-3, 3), got 3.",
    ),
    (
        lambda: layers.Embedding(3, 2, -4),
        ValueError,
        "padding_idx of an embedding with 3 rows must be in [-3, 3), got -4.",
    ),
    (
        lambda: layers.BatchNorm(2)(np.ones((1, 2))),
        ValueError,
        "batch norm needs more than one value per channel for the statistics of a batch, got input of shape (1, 2). "
        "Use a larger batch, or running statistics in eval() mode.",
    ),
    # init
    (
        lambda: init.calculate_gain("gelu"),
        ValueError,
        "nonlinearity must be one of ['linear', 'conv1d', 'conv2d', 'conv3d', 'conv_transpose1d', 'conv_transpose2d', "
        "'conv_transpose3d', 'sigmoid', 'tanh', 'relu', 'selu', 'leaky_relu'], got 'gelu'. Choose the one closest to it.",
    ),
    (
        lambda: init.xavier_normal((3,)),
        ValueError,
        "fans need a shape of two axes, or of a convolution's three or more, got (3,). Use zeros, ones or uniform.",
    ),
    (
        lambda: init.kaiming_normal(parameter(2, 3)),
        TypeError,
        "an initialiser takes a shape, a tuple of ints, got Tensor. "
        "It changes nothing, but returns values: weight.data[...] = xavier_normal(weight.shape).",
    ),
    (
        lambda: init.normal((2, 3), 1.0, 42),
        TypeError,
        "a generator must be a NumPy Generator, got 42. Make one by np.random.default_rng(seed).",
    ),
    (lambda: init.kaiming_normal((2, 3), mode="fan_avg"), ValueError, "mode must be 'fan_in' or 'fan_out', got 'fan_avg'."),
    (lambda: init.orthogonal((3,)), ValueError, "orthogonal needs a shape of two axes or more, got (3,). Use normal."),
    (lambda: init.trunc_normal((3,), std=0.0), ValueError, "std of trunc_normal must be positive, got 0.0."),
    (lambda: init.trunc_normal((3,), std=np.nan), ValueError, "std of trunc_normal must be positive, got nan."),
    (
        lambda: init.trunc_normal((3,), a=2.0, b=2.0),
        ValueError,
        "trunc_normal needs bounds a < b between which N(0.0, 1.0^2) has values, got 2.0 and 2.0.",
    ),
    (
        lambda: init.trunc_normal((3,), a=50.0, b=60.0),
        ValueError,
        "trunc_normal needs bounds a < b between which N(0.0, 1.0^2) has values, got 50.0 and 60.0.",
    ),
    # layers
    (lambda: layers.Module()(1), TypeError, "a Module needs a forward() method, Module has none. Define it."),
    (
        lambda: layers.ReLU().load_state_dict({"a": 1}),
        ValueError,
        "a state dict must have this module's names and shapes: unexpected 'a'. Build the same model first.",
    ),
    (lambda: layers.Linear(0, 2), ValueError, "in_features of Linear must be an int of at least 1, got 0."),
    (lambda: layers.Linear(2, -1), ValueError, "out_features of Linear must be an int of at least 1, got -1."),
    (lambda: layers.Linear(784 / 2, 2), ValueError, "in_features of Linear must be an int of at least 1, got 392.0."),
    (
        lambda: layers.Linear(3, 2, initializer=lambda shape, generator: np.ones((2, 3))),
        ValueError,
        "initializer of Linear must make an array of shape (3, 2), got (2, 3).",
    ),
    (
        lambda: setattr(layers.Linear(3, 2), "weight", np.ones((3, 2))),
        TypeError,
        "weight of Linear is a Parameter, so it can only become another or None, got ndarray, which would not be trained. "
        "Write values by .weight.data[...] = values, or pass a Parameter.",
    ),
    (
        lambda: layers.Linear(3, 2).load_state_dict("model.npz"),
        TypeError,
        "a state dict must map names to arrays, got str. "
        "A file is read by load_model(model, path), and another module's state is its state_dict().",
    ),
    (
        lambda: layers.Linear(4, 2)(layers.GRU(3, 4)(np.ones((5, 2, 3)))),
        TypeError,
        "a layer takes one Tensor, got a tuple of Tensor and Tensor. "
        "Of the results of a recurrent layer or of attention, pass on the first.",
    ),
    (
        lambda: layers.Flatten()(np.ones(3)),
        ValueError,
        "Flatten(start_dim=1) needs input that has this axis, got shape (3,). An example alone is a batch as x[None].",
    ),
    (
        lambda: layers.Flatten(-3)(np.ones((2, 3))),
        ValueError,
        "Flatten(start_dim=-3) needs input that has this axis, got shape (2, 3). An example alone is a batch as x[None].",
    ),
    (
        lambda: layers.Linear(3, 2)(np.ones((4, 5))),
        ValueError,
        "Linear(3, 2) needs input of shape (..., 3), got (4, 5). Check the layer before it, or flatten the input.",
    ),
    (
        lambda: layers.Linear(3, 2)(Tensor(1.0)),
        ValueError,
        "Linear(3, 2) needs input of shape (..., 3), got (). Check the layer before it, or flatten the input.",
    ),
    (lambda: layers.Embedding(0, 2), ValueError, "num_embeddings of Embedding must be an int of at least 1, got 0."),
    (lambda: layers.Embedding(2, 0), ValueError, "embedding_dim of Embedding must be an int of at least 1, got 0."),
    (lambda: functional.dropout(parameter(4), 1.5), ValueError, "the probability p of dropout must be in [0, 1], got 1.5."),
    (lambda: functional.dropout(parameter(4), -0.1), ValueError, "the probability p of dropout must be in [0, 1], got -0.1."),
    (lambda: functional.dropout2d(parameter(1, 1, 1, 1), 2), ValueError, "the probability p of dropout must be in [0, 1], got 2."),
    (lambda: layers.Dropout(1.5), ValueError, "the probability p of Dropout must be in [0, 1], got 1.5."),
    (lambda: layers.Dropout(-0.1), ValueError, "the probability p of Dropout must be in [0, 1], got -0.1."),
    (
        lambda: functional.dropout2d(parameter(4, 3, 2), 0.5),
        ValueError,
        "dropout2d needs input of shape (N, C, H, W), got (4, 3, 2). Use dropout for single elements.",
    ),
    (lambda: layers.Dropout2d(2.0), ValueError, "the probability p of Dropout2d must be in [0, 1], got 2.0."),
    (lambda: layers.GELU("sigmoid"), ValueError, "approximate of GELU must be 'none' or 'tanh', got 'sigmoid'."),
    # losses
    (lambda: losses.MSELoss("average"), ValueError, REDUCTION.format("average")),
    (lambda: losses.MSELoss(None), ValueError, REDUCTION.format(None)),
    (lambda: losses.mse_loss([1.0], [1.0], "average"), ValueError, REDUCTION.format("average")),
    (lambda: losses.MSELoss()(np.ones((4, 1)), np.ones(4)), ValueError, SHAPES.format((4, 1), (4,))),
    (lambda: losses.L1Loss()(np.ones(4), np.ones((4, 1))), ValueError, SHAPES.format((4,), (4, 1))),
    (lambda: losses.HuberLoss()(np.ones((4, 2)), np.ones((4, 1))), ValueError, SHAPES.format((4, 2), (4, 1))),
    (lambda: losses.BCELoss()(np.ones((4, 1)), np.ones(4)), ValueError, SHAPES.format((4, 1), (4,))),
    (lambda: losses.BCEWithLogitsLoss()(np.ones((4, 1)), np.ones(4)), ValueError, SHAPES.format((4, 1), (4,))),
    (lambda: losses.HuberLoss(0.0), ValueError, "delta of the Huber loss must be positive, got 0.0."),
    (lambda: losses.huber_loss([1.0], [1.0], 0), ValueError, "delta of the Huber loss must be positive, got 0."),
    (lambda: losses.HuberLoss(np.nan), ValueError, "delta of the Huber loss must be positive, got nan."),
    (
        lambda: losses.CrossEntropyLoss()(np.ones((2, 3)), np.eye(3)[:2]),
        ValueError,
        CLASSES.format("cross-entropy", "logits", (2, 3), (2, 3), "One-hot labels become indices by .argmax(1)."),
    ),
    (
        lambda: losses.CrossEntropyLoss()(np.ones((2, 3)), [[0], [1]]),
        ValueError,
        CLASSES.format("cross-entropy", "logits", (2, 3), (2, 1), "Give one class index per example."),
    ),
    (
        lambda: losses.NLLLoss()(np.ones(3), [0, 1, 2]),
        ValueError,
        CLASSES.format("the NLL loss", "log-probabilities", (3,), (3,), "Give one class index per example."),
    ),
    (lambda: losses.CrossEntropyLoss()(np.ones((2, 3)), [0, -1]), ValueError, "labels must be in [0, 3), got -1."),
    (lambda: losses.CrossEntropyLoss()(np.ones((2, 3)), [3, 0]), ValueError, "labels must be in [0, 3), got 3."),
    (lambda: losses.NLLLoss()(np.ones((2, 3)), [0.0, 1.5]), ValueError, "labels must be whole numbers, got 1.5."),
    (
        lambda: losses.BCELoss()([0.5, 1.5], [0.0, 1.0]),
        ValueError,
        "binary cross-entropy needs probabilities in [0, 1], got 0.5 to 1.5. Apply a sigmoid, or use BCEWithLogitsLoss on logits.",
    ),
    (
        lambda: losses.BCELoss()([-0.5, 0.5], [0.0, 1.0]),
        ValueError,
        "binary cross-entropy needs probabilities in [0, 1], got -0.5 to 0.5. Apply a sigmoid, or use BCEWithLogitsLoss on logits.",
    ),
    (
        lambda: losses.BCELoss()([np.nan], [0.0]),
        ValueError,
        "binary cross-entropy needs probabilities in [0, 1], got nan to nan. Apply a sigmoid, or use BCEWithLogitsLoss on logits.",
    ),
    (
        lambda: losses.BCELoss()([0.5, 0.5], [0.0, -1.0]),
        ValueError,
        "targets of a binary loss must be in [0, 1], got -1.0 to 0.0.",
    ),
    (
        lambda: losses.BCEWithLogitsLoss()([0.5, 0.5], np.array([0, 2])),
        ValueError,
        "targets of a binary loss must be in [0, 1], got 0 to 2.",
    ),
    (
        lambda: losses.cross_entropy(np.ones((2, 3)), [0, 1], weight=[1.0, 2.0]),
        ValueError,
        "weight must hold one number per class, shape (3,), got (2,).",
    ),
    (lambda: losses.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing must be in [0, 1], got 1.5."),
    (
        lambda: losses.BCELoss(weight=np.ones(2))(np.ones((2, 3)), np.ones((2, 3))),
        ValueError,
        "weight must broadcast to the predictions' shape (2, 3), got (2,). Reshape it.",
    ),
    (lambda: losses.SmoothL1Loss(-1.0), ValueError, "beta of the smooth L1 loss must not be negative, got -1.0."),
    (lambda: losses.smooth_l1_loss([1.0], [1.0], np.nan), ValueError, "beta of the smooth L1 loss must not be negative, got nan."),
    # optimizers
    (lambda: optimizers.SGD([]), ValueError, "SGD needs parameters, got none. Pass model.parameters()" + FOUND),
    (lambda: optimizers.Adam(a_generator()), ValueError, "Adam needs parameters, got none. Pass model.parameters()" + FOUND),
    (
        lambda: optimizers.SGD([{"params": [parameter(1)], "learning_rate": 1}]),
        ValueError,
        "SGD has no setting ['learning_rate']. It has ['lr', 'momentum', 'nesterov', 'weight_decay'].",
    ),
    (
        lambda: optimizers.SGD([np.zeros(2)]),
        TypeError,
        "an optimizer's parameters must be Tensors, got ndarray. Pass model.parameters().",
    ),
    (
        lambda: optimizers.SGD(["weight"]),
        TypeError,
        "an optimizer's parameters must be Tensors, got str. Pass model.parameters().",
    ),
    (
        lambda: optimizers.SGD([parameter(2, 3) * 2]),
        ValueError,
        "an optimizer's parameters must be leaves, got the result of an operation, shape (2, 3).",
    ),
    (
        lambda: optimizers.SGD([TWICE, TWICE]),
        ValueError,
        "a parameter must be listed once, one of shape (2, 3) is listed twice; it would be updated twice.",
    ),
    (
        lambda: optimizers.SGD([{"params": [TWICE]}, {"params": [TWICE]}]),
        ValueError,
        "a parameter must be listed once, one of shape (2, 3) is listed twice; it would be updated twice.",
    ),
    (lambda: sgd(lr=-0.1), ValueError, "lr of SGD must not be negative, got -0.1."),
    (lambda: sgd(lr=np.nan), ValueError, "lr of SGD must not be negative, got nan."),
    (lambda: sgd(weight_decay=-1), ValueError, "weight_decay of SGD must not be negative, got -1."),
    (lambda: setattr(sgd(), "lr", -2.0), ValueError, "lr of SGD must not be negative, got -2.0."),
    (lambda: sgd(momentum=1.0), ValueError, "momentum of SGD must be in [0, 1), got 1.0."),
    (lambda: sgd(momentum=-0.5), ValueError, "momentum of SGD must be in [0, 1), got -0.5."),
    (lambda: optimizers.RMSprop([parameter(1)], alpha=1), ValueError, "alpha of RMSprop must be in [0, 1), got 1."),
    (lambda: optimizers.RMSprop([parameter(1)], eps=-1), ValueError, "eps of RMSprop must not be negative, got -1."),
    (
        lambda: optimizers.AdamW([parameter(1)], betas=(0.9, 1.0)),
        ValueError,
        "betas of AdamW must be in [0, 1), got (0.9, 1.0).",
    ),
    (
        lambda: optimizers.Adam([{"params": [parameter(1)], "betas": (-0.1, 0.9)}]),
        ValueError,
        "betas of Adam must be in [0, 1), got (-0.1, 0.9).",
    ),
    (lambda: sgd(nesterov=True), ValueError, "nesterov needs momentum > 0, got 0.0."),
    (
        lambda: optimizers.SGD([{"params": [parameter(1)], "nesterov": True}]),
        ValueError,
        "nesterov needs momentum > 0, got 0.0.",
    ),
    (lambda: optimizers.clip_grad_norm([parameter(1)], 0.0), ValueError, "max_norm must be positive, got 0.0."),
    (lambda: optimizers.clip_grad_norm([parameter(1)], np.nan), ValueError, "max_norm must be positive, got nan."),
    (lambda: optimizers.clip_grad_value([parameter(1)], 0), ValueError, "clip_value must be positive, got 0."),
    (lambda: optimizers.StepLR(sgd(), 0), ValueError, "step_size must be at least 1, got 0."),
    (lambda: optimizers.CosineAnnealingLR(sgd(), 0), ValueError, "T_max must be at least 1, got 0."),
    (lambda: optimizers.LinearWarmup(sgd(), 0), ValueError, "warmup_steps must be at least 1, got 0."),
    (lambda: optimizers.PolynomialLR(sgd(), 0), ValueError, "total_iters must be at least 1, got 0."),
    (lambda: optimizers.PolynomialLR(sgd(), 5, 0.0), ValueError, "power must be positive, got 0.0."),
    (
        lambda: optimizers.LinearWarmup(SGD, 2, optimizers.OneCycleLR(SGD, 1.0, 10)),
        TypeError,
        "OneCycleLR can't follow a warm-up, it sets more than a rate from its step count. Use it alone.",
    ),
    (
        lambda: with_another_group(optimizers.ExponentialLR).step(),
        ValueError,
        "the optimizer must have the 1 groups that it had when the schedule was made, it has 2. Make the schedule after add_param_group().",
    ),
    (
        lambda: optimizers.ExponentialLR(sgd(), 0.5).load_state_dict({"steps": 1, "last_epoch": 1}),
        ValueError,
        "a state dict must fit this ExponentialLR: missing 'initial_lrs'; unexpected 'last_epoch'.",
    ),
    (
        lambda: optimizers.ExponentialLR(sgd(), 0.5).load_state_dict({"steps": 1, "initial_lrs": [0.1, 0.2]}),
        ValueError,
        "a state dict must fit this ExponentialLR: 2 groups, must be 1.",
    ),
    (
        lambda: sgd().add_param_group(["params"]),
        TypeError,
        'a parameter group must be a dict with "params" among its names, got list.',
    ),
    (
        lambda: optimizers.SGD([{"params": parameter(1)}, {"param": [parameter(2)], "lr": 1.0}]),
        TypeError,
        """a parameter group must be a dict with "params" among its names, got one of ['lr', 'param'].""",
    ),
    (
        lambda: optimizers.Adagrad([parameter(1)], lr_decay=-0.1),
        ValueError,
        "lr_decay of Adagrad must not be negative, got -0.1.",
    ),
    (
        lambda: optimizers.Adagrad([parameter(1)], initial_accumulator_value=-1),
        ValueError,
        "initial_accumulator_value of Adagrad must not be negative, got -1.",
    ),
    (lambda: nn.train_epoch(layers.ReLU(), [], losses.MSELoss(), sgd(), accumulate=0), ValueError, "accumulate must be at least 1, got 0."),
    (
        lambda: optimizers.LinearWarmup(sgd(), 2, optimizers.StepLR(sgd(), 1)),
        ValueError,
        "the schedule after a warm-up must be of the same optimizer, got another. Make both with one optimizer.",
    ),
    (
        lambda: optimizers.SGD(3),
        TypeError,
        "parameters must be Tensors in a list, got int. Call model.parameters().",
    ),
    (
        lambda: optimizers.clip_grad_norm(layers.ReLU().parameters, 1.0),
        TypeError,
        "parameters must be Tensors in a list, got method. Call model.parameters().",
    ),
    # nn
    (
        lambda: nn.Sequential(layers.ReLU),
        TypeError,
        "a layer must be a Module or a function, got <class 'micrograd_plus.layers.activations.ReLU'>. Pass an instance, such as ReLU().",
    ),
    (lambda: nn.Sequential(3), TypeError, "a layer must be a Module or a function, got 3. Pass an instance, such as ReLU()."),
    (lambda: nn.train_epoch(layers.ReLU(), [], losses.MSELoss(), sgd()), ValueError, NO_BATCH),
    (lambda: nn.evaluate(layers.ReLU(), a_generator(), losses.MSELoss()), ValueError, NO_BATCH),
    (lambda: nn.accuracy(np.ones((3, 1)), np.ones(3)), ValueError, ACCURACY.format((3, 1), (3,))),
    (lambda: nn.accuracy(np.ones((3, 2)), np.ones((3, 2))), ValueError, ACCURACY.format((3, 2), (3, 2))),
    (lambda: nn.accuracy(np.ones((2, 2, 2)), np.ones((2, 2, 2))), ValueError, ACCURACY.format((2, 2, 2), (2, 2, 2))),
    (lambda: nn.accuracy([], []), ValueError, ACCURACY.format((0,), (0,))),
    (lambda: nn.save_model(layers.ReLU(), "model.pt"), ValueError, "a model's file must end in .npz or .safetensors, got 'model.pt'."),
    (lambda: nn.load_model(layers.ReLU(), "model"), ValueError, "a model's file must end in .npz or .safetensors, got 'model'."),
    # gradcheck
    (
        lambda: gradcheck.gradient_check(lambda t: 3.0, [1.0]),
        TypeError,
        "a gradient check needs a function that returns a Tensor, got float.",
    ),
    (
        lambda: gradcheck.gradient_check(lambda t: t / np.array([1.0, 0.0]), [np.nan, 1.0]),
        ValueError,
        FINITE.format("argument 0 is nan at index (0,)"),
    ),
    (
        lambda: gradcheck.gradient_check(lambda t: t * np.array([1.0, np.inf]), [1.0, 2.0]),
        ValueError,
        FINITE.format("the value of the function is inf at index (1,)"),
    ),
    (
        lambda: gradcheck.gradient_check(lambda t: (t * np.inf).sum(), [1.0]),
        ValueError,
        FINITE.format("the value of the function is inf"),
    ),
    (
        lambda: gradcheck.gradient_check(lambda a, b: apply(nan_in_one_place, b) + a, ([1.0, 1.0], [1.0, 2.0])),
        ValueError,
        FINITE.format("the gradient of argument 1 is nan at index (1,)"),
    ),
    (
        lambda: gradcheck.gradient_check(lambda a, i: a[i], ([1.0, 2.0], np.array([0, 1]))),
        TypeError,
        "a gradient check needs floating arguments, argument 1 has dtype int64. "
        "Convert it, or use it inside of the function: lambda x: f(x, indices).",
    ),
    (
        lambda: gradcheck.gradient_check(lambda t: (t * next(COUNT)).sum(), [1.0]),
        ValueError,
        "a gradient check needs a function that gives the same value at the same point, got 1.0 and then 2.0. "
        "Draw random numbers from the library's generator, or outside of the function, and keep no state in it.",
    ),
    (lambda: gradcheck.gradient_check(lambda t: t.sum(), [1.0], order=3), ValueError, "order must be 1 or 2, got 3."),
    # utils
    (lambda: utils.nothing, AttributeError, "module 'micrograd_plus.utils' has no attribute 'nothing'"),
    (lambda: utils.one_hot([0, 3], 3), ValueError, "labels must be whole numbers in [0, 3), got 3."),
    (lambda: utils.one_hot([0.5], 3), ValueError, "labels must be whole numbers in [0, 3), got 0.5."),
    (
        lambda: utils.train_test_split(np.ones(3), np.ones(4)),
        ValueError,
        "X and y must have the same number of examples, got 3 and 4.",
    ),
    (
        lambda: utils.train_test_split(np.ones(3), np.ones(3), 1.0),
        ValueError,
        "a split needs two examples and 0 < test_size < 1, got 3 and 1.0.",
    ),
    (
        lambda: utils.train_test_split(np.ones(3), np.ones(3), 0),
        ValueError,
        "a split needs two examples and 0 < test_size < 1, got 3 and 0.",
    ),
    (
        lambda: utils.train_test_split([1], [1]),
        ValueError,
        "a split needs two examples and 0 < test_size < 1, got 1 and 0.2.",
    ),
    # scalar
    (lambda: scalar.Value(2.0) ** "2", TypeError, "a Value's exponent must be a number, got str."),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:60] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
    assert type(error.value) is kind


def test_every_error_has_an_entry():
    missing = [place for module in MODULES for place in unreached(module, MESSAGES, ELSEWHERE)]
    assert not missing, f"no entry reaches: {missing}"
