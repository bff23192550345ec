"""effects.py is the only door for what is not a pure function of arrays: writes, random numbers, checks on values, changing
scalars and reads. A compiler that traces the library stands on this.

Held in two ways: by the source, where nothing outside effects.py may write, draw or read; and by running a training step on
arrays that can't be written to while no door is open, with generators that raise while none is.

An update given to `effects.assign_blocks` computes in place in the blocks that it is given: that is within the door.
"""

import ast
import importlib
import inspect
import pkgutil
import textwrap

import numpy as np
import pytest

from micrograd_plus import Tensor, effects, functional, init, layers, losses, nn, optimizers, transforms

# -- by the source -------------------------------------------------------------------------------------------------------

PACKAGES = [functional, layers, losses, optimizers]
PARTS = [(package, part.name) for package in PACKAGES for part in pkgutil.iter_modules(package.__path__)]
MODULES = [transforms, init, nn, *(importlib.import_module(f"{package.__name__}.{name}") for package, name in PARTS)]

MUTATORS = {"fill", "put", "itemset", "sort", "resize", "partition", "setflags", "setfield", "copyto", "place", "putmask", "at"}
MUTATORS |= {"put_along_axis", "fill_diagonal", "shuffle"}
READERS = {"item", "tolist", "any", "all", "__float__", "__bool__", "__int__"}
NUMBERS = {"float", "int", "bool"}
DRAWS = {name for name in dir(np.random.Generator) if not name.startswith("_")} | {"default_rng", "RandomState", "seed"}
STORED = {"data", "_data", "grad", "_grad"}

# (module, function, source): why it is no effect on arrays
ALLOWED = {
    ("transforms", "_vjp", "any((y.requires_grad for y in _leaves(value)))"): "what the graph is, not what values are",
    ("transforms", "pullback", "any((isinstance(g, Tensor) and g.requires_grad for g in given))"): "what the graph is, not what values are",
    ("transforms", "checkpointed", "any((x is None for x in inputs))"): "weak references",
    ("transforms", "checked", "all((pullback is None or callable(pullback) for pullback in pullbacks))"): "functions, not arrays",
    ("transforms", "_reached", "pending += edge.edges()"): "a list of nodes",
    ("optimizers.updates", "lr", "float(self.param_groups[0]['lr'])"): "the attribute that users read; steps use effects.scalar",
    ("optimizers.updates", "lr", "group['lr'] = value"): "users set it between steps",
    ("optimizers.updates", "step", "updates[t] = self._update(group, t)"): "a dict of functions, local to the step",
    ("optimizers.updates", "_check", "all((0 <= beta < 1 for beta in value))"): "Python numbers given by the user",
    ("optimizers.schedules", "__init__", "float(group['lr'])"): "a schedule reads the rates it starts from, once",
    ("optimizers.schedules", "step", "self.steps += 1"): "a schedule's count, a Python number",
    ("layers.hooks", "__init__", "hooks[self._key] = hook"): "a dict of functions",
    ("layers.containers", "__delitem__", "del self._held[index]"): "a list or dict of modules",
    ("layers.containers", "__setitem__", "self._held[key] = self._checked(value)"): "a dict of modules",
    (
        "layers.containers",
        "__setitem__",
        "self._held[index] = [self._checked(module) for module in value] if isinstance(index, slice) else self._checked(value)",
    ): "a list of modules",
    ("layers.module", "_holds_modules", "any((_holds_modules(item) for item in value))"): "modules, not arrays",
    ("nn", "train_epoch", "total += effects.read(loss.data) * len(x)"): "a Python number",
    ("nn", "train_epoch", "count += examples"): "a Python number",
    ("nn", "evaluate", "total_loss += effects.read(loss_fn(predictions, y).data) * len(x)"): "a Python number",
    ("nn", "evaluate", "totals[name] += float(function(predictions, y)) * len(x)"): "a dict of Python numbers",
    ("nn", "evaluate", "float(function(predictions, y))"): "a metric of the user's, outside of any traced step",
    ("nn", "evaluate", "count += len(x)"): "a Python number",
}


def impurities(tree, module):
    """(function, source of the statement or call) of whatever writes into, draws, or reads an array by itself."""

    def visit(node, function, in_update):
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef)
            inside = child.name if named and not in_update else function
            # The functions that _update defines run within assign_blocks, and may write into the blocks they were given.
            update = in_update or (function == "_update" and named)
            if any(wrong(child, update)):
                yield inside, ast.unparse(child)
            yield from visit(child, inside, update)

    def wrong(node, in_update):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
            targets = [t for target in targets for t in (target.elts if isinstance(target, ast.Tuple) else [target])]
            yield any(isinstance(target, ast.Subscript) for target in targets)
            yield any(isinstance(target, ast.Attribute) and target.attr in STORED for target in targets)
            yield isinstance(node, ast.AugAssign) and not in_update
        elif isinstance(node, ast.Call):
            function = node.func
            yield any(keyword.arg == "out" for keyword in node.keywords)
            yield isinstance(function, ast.Name) and function.id in NUMBERS | {"any", "all"}
            if isinstance(function, ast.Attribute):
                base = ast.unparse(function.value)
                yield function.attr in MUTATORS | READERS and base not in ("effects",)
                yield function.attr in DRAWS and base not in ("effects", "np", "init")
                yield base.startswith(("np.random", "random"))

    return [found for found in visit(tree, "", False) if (module, *found) not in ALLOWED]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.partition(".")[2])
def test_the_source_has_no_effect_of_its_own(module):
    name = module.__name__.partition(".")[2]
    found = impurities(ast.parse(inspect.getsource(module)), name)
    assert not found, f"{name} must go through effects.py, or ALLOWED must say why not: {found}"


def test_every_exception_is_still_needed():
    used = set()
    for module in MODULES:
        name = module.__name__.partition(".")[2]
        tree = ast.parse(inspect.getsource(module))
        used |= {(name, *found) for found in impurities(tree, "no module, so that nothing is allowed")}
    assert set(ALLOWED) - used == set()


@pytest.mark.parametrize(
    "planted",
    [
        "running_mean[...] = mean",
        "p.data[0] += 1",
        "p.data += 1",
        "p._data = value",
        "x.grad = g",
        "mean *= 0.9",
        "(a[0], b) = values",
        "del a[0]",
        "np.add(a, b, out=a)",
        "np.add.at(a, index, 1)",
        "np.copyto(a, b)",
        "a.fill(0)",
        "a.sort()",
        "keep = np.random.random(3)",
        "keep = np.random.default_rng().random(3)",
        "keep = generator.random(3)",
        "keep = self.generator.standard_normal(3)",
        "n = loss.item()",
        "n = float(loss.data)",
        "n = int(x.sum())",
        "ok = bool(x > 0)",
        "ok = np.all(x > 0)",
        "ok = (x > 0).any()",
        "n = x.tolist()",
    ],
)
def test_the_test_of_the_source_sees_a_planted_effect(planted):
    tree = ast.parse(f"class Layer:\n    def forward(self, x):\n        {planted}\n")
    assert [function for function, _ in impurities(tree, "layers")][:1] == ["forward"]
    tree = ast.parse(f"def f(self, x):\n    def inner():\n        {planted}\n    return inner\n")
    assert impurities(tree, "layers")


def test_an_update_may_compute_in_its_blocks_and_nowhere_else():
    source = """
    class Rule:
        def _update(self, group, t):
            def update(p, m, grad):
                m *= 0.9
                p -= m
                return p, m
            return update
    """
    assert not impurities(ast.parse(textwrap.dedent(source)), "optimizers")
    assert impurities(ast.parse(textwrap.dedent(source.replace("m *= 0.9", "m[0] = 0.9"))), "optimizers")


# -- by running ----------------------------------------------------------------------------------------------------------


class Door:
    """Arrays that it has locked can be written only while effects.assign or assign_blocks runs; generators likewise."""

    def __init__(self, monkeypatch):
        self.drawing = self.draws = self.writes = 0
        assign, assign_blocks, draw = effects.assign, effects.assign_blocks, effects.draw

        def open_assign(target, value, index=...):
            self.writes += 1
            if not isinstance(target, np.ndarray):
                return assign(target, value, index)
            target.flags.writeable = True
            try:
                assign(target, value, index)
            finally:
                target.flags.writeable = False

        def open_assign_blocks(arrays, update, *inputs):
            self.writes += 1
            for array in inputs:
                array.flags.writeable = False
            for array in arrays:
                array.flags.writeable = True
            try:
                assign_blocks(arrays, update, *inputs)
            finally:
                self.lock(arrays)

        def open_draw(*args, **kwargs):
            self.drawing += 1
            self.draws += 1
            try:
                return draw(*args, **kwargs)
            finally:
                self.drawing -= 1

        monkeypatch.setattr(effects, "assign", open_assign)
        monkeypatch.setattr(effects, "assign_blocks", open_assign_blocks)
        monkeypatch.setattr(effects, "draw", open_draw)
        monkeypatch.setattr(effects, "_generator", [self.guarded(np.random.default_rng(0))])
        for name, function in vars(np.random).items():
            if callable(function) and not isinstance(function, type) and not name.startswith("_"):
                monkeypatch.setattr(np.random, name, self.guarded_function(name, function))

    def guarded_function(self, name, function):
        def call(*args, **kwargs):
            if not self.drawing:
                raise RuntimeError(f"{name} was drawn beside effects.draw")
            return function(*args, **kwargs)

        return call

    def guarded(self, generator):
        door = self

        class Guarded:
            def __getattr__(self, name):
                return door.guarded_function(name, getattr(generator, name))

        return Guarded()

    @staticmethod
    def lock(arrays):
        for array in arrays:
            array.flags.writeable = False


class Everything(layers.Module):
    """A model with all kinds of layers, parameters, buffers and random numbers."""

    def __init__(self, generator=None):
        self.table = layers.Embedding(7, 4, padding_idx=0)
        self.reader = layers.LSTM(4, 4, 2, batch_first=True, dropout=0.2, generator=generator)
        self.body = nn.Sequential(
            lambda x: x.unsqueeze(1),
            layers.InstanceNorm2d(1, track_running_stats=True),
            layers.Dropout2d(0.2),
            layers.Flatten(),
            layers.Linear(12, 6),
            layers.BatchNorm(6),
            layers.BatchNorm(6, momentum=None),
            layers.Residual(layers.GroupNorm(2, 6), layers.RMSNorm(6)),
            layers.GELU(),
            layers.Dropout(0.3),
            layers.LayerNorm(6),
            layers.Dropout(0.2, generator),
            *(layers.LeakyReLU(), layers.ELU(), layers.SiLU(), layers.Softplus(), layers.Tanh(), layers.ReLU(), layers.Sigmoid()),
            layers.Linear(6, 3),
        )

    def forward(self, x):
        return self.body(self.reader(self.table(x))[0])


CLASSES = np.array([0, 2, 1, 0, 2])
SHARES = np.full((5, 3), 0.25, np.float32)
LOSSES = {
    "cross-entropy": (losses.CrossEntropyLoss(), CLASSES),
    "nll": (lambda p, t: losses.NLLLoss()(p.log_softmax(), t), CLASSES),
    "mse": (losses.MSELoss(), SHARES),
    "l1": (losses.L1Loss("sum"), SHARES),
    "huber": (losses.HuberLoss(), SHARES),
    "bce": (lambda p, t: losses.BCELoss()(p.sigmoid(), t), SHARES),
    "bce with logits": (losses.BCEWithLogitsLoss(weight=[1.0, 2.0, 3.0], pos_weight=2.0), SHARES),
    "smoothed cross-entropy": (losses.CrossEntropyLoss(weight=[1.0, 2.0, 3.0], ignore_index=2, label_smoothing=0.1), CLASSES),
    "divergence": (lambda p, t: losses.KLDivLoss("batchmean")(p.log_softmax(), t), SHARES),
    "hinge": (losses.HingeLoss(), np.sign(SHARES)),
    "margin": (losses.MultiMarginLoss(p=2), CLASSES),
    "cosine": (lambda p, t: losses.CosineEmbeddingLoss()(p, p * p, t), np.ones(5)),
    "triplet": (lambda p, t: losses.TripletMarginLoss(swap=True)(p, p * p, t), SHARES),
}
OPTIMIZERS = {
    "SGD": lambda p: optimizers.SGD(p, weight_decay=0.1),
    "SGD with momentum": lambda p: optimizers.SGD(p, momentum=0.9, nesterov=True),
    "Adam": lambda p: optimizers.Adam(p, weight_decay=0.1),
    "AdamW": lambda p: optimizers.AdamW(p, weight_decay=0.1),
    "RMSprop": lambda p: optimizers.RMSprop(p, weight_decay=0.1),
    "RMSprop with momentum": lambda p: optimizers.RMSprop(p, momentum=0.9),
    "Adagrad": lambda p: optimizers.Adagrad(p, lr_decay=0.1, weight_decay=0.1),
}


def three_steps(loss_fn, targets, make_optimizer, lock, generator):
    effects.set_seed(0)
    model = Everything(generator)
    x = np.random.default_rng(1).integers(0, 7, (5, 3))
    optimizer = make_optimizer(model.parameters())
    schedule = optimizers.LinearWarmup(optimizer, 2, optimizers.CosineAnnealingLR(optimizer, 4))
    lock([x, targets, *(p.data for p in model.parameters()), *(array for _, array in model.named_buffers())])
    for _ in range(3):
        optimizer.zero_grad()
        loss_fn(model(x), targets).backward()
        lock([p._grad for p in model.parameters()])
        optimizers.clip_grad_norm(model.parameters(), 0.5)
        optimizers.clip_grad_value(model.parameters(), 0.1)
        optimizer.step()
        schedule.step()
    model.eval()
    return [model(x).data, *model.state_dict().values()]


@pytest.mark.parametrize(("loss", "optimizer"), [(loss, "Adam") for loss in LOSSES] + [("mse", name) for name in OPTIMIZERS])
def test_a_training_step_writes_and_draws_through_the_door_only(loss, optimizer, monkeypatch):
    loss_fn, targets = LOSSES[loss]
    targets = targets.copy()
    expected = three_steps(loss_fn, targets.copy(), OPTIMIZERS[optimizer], lambda arrays: None, np.random.default_rng(3))
    # Both runs start from the same numbers: the seed is set before the door closes.
    own = np.random.default_rng(3)
    numbers = np.random.default_rng(0), np.random.default_rng(1)
    door = Door(monkeypatch)
    effects._generator[0] = door.guarded(numbers[0])
    monkeypatch.setattr(effects, "set_seed", lambda seed: None)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: numbers[1])
    found = three_steps(loss_fn, targets, OPTIMIZERS[optimizer], door.lock, door.guarded(own))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert door.writes > 20
    assert door.draws >= 2 * 3


def test_a_planted_write_is_seen(monkeypatch):
    door = Door(monkeypatch)
    planted = {
        "into a parameter": lambda p, g: p.data.__isub__(0.1 * g),
        "into a gradient": lambda p, g: np.clip(g, -1, 1, out=g),
    }
    p = Tensor([1.0, 2.0], requires_grad=True)
    p.grad = [3.0, 4.0]
    door.lock([p.data, p._grad])
    for write in planted.values():
        with pytest.raises(ValueError, match="read-only"):
            write(p, p._grad)
    optimizers.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(p.data, [-2, -2])


def test_an_update_that_writes_into_its_gradient_is_seen(monkeypatch):
    class Careless(optimizers.SGD):
        def _update(self, group, t):
            def update(p, grad):
                grad *= 0.5
                return (p - grad,)

            return update

    Door(monkeypatch)
    p = Tensor([1.0, 2.0], requires_grad=True)
    p.grad = [3.0, 4.0]
    with pytest.raises(ValueError, match="read-only"):
        Careless([p], lr=1.0).step()


def mutated(module, old, new):
    """A module of its own from the source with one piece replaced."""
    source = inspect.getsource(module)
    assert source.count(old) == 1
    copy = type(module)(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source.replace(old, new), module.__file__, "exec"), vars(copy))
    return copy


def test_a_running_mean_written_directly_is_seen(monkeypatch):
    planted = mutated(functional.normalisation, "effects.assign(running, ", "running.__setitem__(..., ")
    Door(monkeypatch)
    mean, var = np.zeros(2, np.float32), np.ones(2, np.float32)
    mean.flags.writeable = False
    x, w, b = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([1.0, 1.0]), Tensor([0.0, 0.0])
    with pytest.raises(ValueError, match="read-only"):
        planted.batch_norm(x, mean, var, w, b, training=True)
    functional.batch_norm(x, mean, var, w, b, training=True)
    np.testing.assert_allclose(mean, [0.2, 0.3])


def test_a_dropout_that_draws_by_itself_is_seen(monkeypatch):
    planted = mutated(
        functional.feedforward, 'effects.draw(generator, "random", shape, np.float32)', "effects.default_generator().random(shape)"
    )
    door = Door(monkeypatch)
    x = Tensor(np.ones(4))
    with pytest.raises(RuntimeError, match="random was drawn beside"):
        planted.dropout(x, 0.5)
    with pytest.raises(RuntimeError, match="standard_normal was drawn beside"):
        np.random.standard_normal(3)
    assert (
        functional.dropout(x, 0.5).shape == functional.dropout(x, 0.5, generator=door.guarded(np.random.Generator(np.random.PCG64()))).shape
    )


# -- the other doors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        lambda: losses.CrossEntropyLoss()(np.ones((1, 3)), [0]),
        lambda: losses.NLLLoss()(np.ones((1, 3)), [0.0]),
        lambda: functional.embedding([0], Tensor(np.ones((2, 2)))),
        lambda: losses.BCELoss()([0.5], [1.0]),
        lambda: losses.BCEWithLogitsLoss()([0.5], [1.0]),
        lambda: losses.KLDivLoss("sum")([0.5], [1.0]),
        lambda: losses.HingeLoss()([0.5], [1.0]),
        lambda: losses.CosineEmbeddingLoss()([[0.5]], [[1.0]], [1.0]),
    ],
)
def test_every_check_on_values_goes_through_require(check, monkeypatch):
    seen = []
    monkeypatch.setattr(effects, "require", lambda condition, message: seen.append(condition))
    check()
    assert seen
    assert all(isinstance(condition, np.ndarray) and condition.dtype == bool for condition in seen)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_learning_rate_and_the_step_count_are_read_through_scalar(name, monkeypatch):
    read = []
    scalar = effects.scalar
    monkeypatch.setattr(effects, "scalar", lambda owner, name: read.append(name) or scalar(owner, name))
    p = Tensor([1.0], requires_grad=True)
    optimizer = OPTIMIZERS[name]([p])
    p.grad = [1.0]
    optimizer.step()
    assert {"lr", "step"} <= set(read) <= {"lr", "step", "momentum"}


def test_results_are_read_through_read(monkeypatch):
    read = []
    monkeypatch.setattr(effects, "read", lambda array: read.append(array) or 2.5)
    p = Tensor([1.0], requires_grad=True)
    p.grad = [1.0]
    layer = layers.Linear(1, 1)
    batch = [(np.ones((2, 1)), np.ones((2, 1)))]
    assert optimizers.clip_grad_norm([p], 1.0) == 2.5
    assert nn.accuracy([1], [1]) == 2.5
    assert nn.train_epoch(layer, batch, losses.MSELoss(), optimizers.SGD(layer.parameters())) == 2.5
    assert nn.evaluate(layer, batch, losses.MSELoss()) == (2.5, {})
    assert len(read) == 4
