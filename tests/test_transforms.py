"""grad, vjp, jvp and what is made of them: closed forms, nesting, what is recorded; checkpoint, and rules of one's own."""

import collections
import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, effects, gradient_check, gradients, no_grad, rules, transforms
from micrograd_plus.layers import BatchNorm, Dropout, Linear, Module, Tanh
from micrograd_plus.nn import Sequential
from micrograd_plus.tensor import apply, concatenate, einsum, zeros

from .raising import unreached
from .rules.checks import close, cotangent, difference, differentiable, parts, projected
from .rules.table import TABLE

RANDOM = np.random.default_rng(3)
A = RANDOM.standard_normal((3, 3))
X, Y, V = (RANDOM.standard_normal(3) for _ in range(3))
Point = collections.namedtuple("Point", "x y")


def tensor(values, **settings):
    return Tensor(values, dtype=np.float64, **settings)


def equal(found, expected, tolerance=1e-12):
    """Trees of the same structure whose leaves agree."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        return all(equal(found[key], expected[key], tolerance) for key in expected)
    if isinstance(expected, (list, tuple)):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        return all(equal(a, b, tolerance) for a, b in zip(found, expected, strict=True))
    assert isinstance(found, Tensor)
    np.testing.assert_allclose(found.data, expected, tolerance, tolerance)
    assert found.shape == np.shape(expected)
    return True


def leaves(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [leaf for item in tree for leaf in leaves(item)] if isinstance(tree, (list, tuple)) else [tree]


def cubes(x):
    return (x**3).sum()


def mixed(x):
    """From 3 to 4 elements, with a dense Jacobian."""
    return concatenate([(x * A).sum(1).tanh() * x, (x * x[::-1]).exp().sum().reshape(1)])


def mixed_scalar(x):
    return (mixed(x) ** 2).sum()


# -- values, by closed forms ---------------------------------------------------------------------------------------------


def test_grad_is_the_derivative():
    assert equal(transforms.grad(cubes)(tensor(X)), 3 * X**2)
    assert equal(transforms.grad(lambda x: x.sin())(tensor(0.5)), np.cos(0.5))


def test_value_and_grad_gives_both():
    value, gradient = transforms.value_and_grad(cubes)(tensor(X))
    assert equal(value, (X**3).sum())
    assert equal(gradient, 3 * X**2)


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        *[(0, Y**2), (1, 2 * X * Y), (-1, 2 * X * Y), ((0, 1), (Y**2, 2 * X * Y)), ([1, 0], (2 * X * Y, Y**2)), ((-2,), (Y**2,))],
        *[((), ()), (np.int64(1), 2 * X * Y), ((np.int8(0), True), (Y**2, 2 * X * Y))],
    ],
)
def test_argnums_choose_the_arguments(argnums, expected):
    def f(x, y):
        return (x * y**2).sum()

    assert equal(transforms.grad(f, argnums)(tensor(X), tensor(Y)), expected)


def test_other_arguments_and_keywords_pass_unchanged():
    labels, seen = np.array([0, 2]), []

    def f(x, index, *, scale, name="none"):
        seen.append((index, name))
        return (x[index] * scale).sum()

    assert equal(transforms.grad(f)(tensor(X), labels, scale=2.0, name="this"), [2.0, 0.0, 2.0] * np.ones(3))
    assert seen[0][0] is labels
    assert seen[0][1] == "this"
    assert equal(transforms.jacobian(f)(tensor(X), labels, scale=3.0), [3.0, 0.0, 3.0] * np.ones(3))


@pytest.mark.parametrize("x", [2.0, 2, np.float64(2), np.array(2.0), np.float32(2), Tensor(2.0)])
def test_numbers_and_arrays_take_the_default_dtype(x):
    gradient = transforms.grad(lambda x: x**3)(x)
    assert equal(gradient, 12.0)
    assert gradient.dtype == np.float32
    with default_dtype(np.float64):
        if not isinstance(x, Tensor):
            assert transforms.grad(lambda x: x**3)(x).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_of_a_tensor_is_kept(dtype):
    x, v = Tensor(X, dtype=dtype), Tensor(V)
    value, pullback = transforms.vjp(lambda x: x * x, x)
    out, tangent = transforms.jvp(lambda x: x * x, (x,), (v,))
    found = [value, *pullback(v), *pullback(V), out, tangent, *transforms.hvp(cubes, (x,), (V,))]
    found += [transforms.grad(cubes)(x), transforms.jacobian(lambda x: x * x)(x), transforms.hessian(cubes)(x)]
    assert {t.dtype for t in found} == {np.dtype(dtype)}
    if dtype == np.float64:
        assert equal(tangent, 2 * X * v.data)


def test_trees_give_trees():
    tree = {"w": tensor(A), "b": [tensor(X), (tensor(Y), tensor(2.0))], "point": Point(tensor(1.0), tensor(3.0))}

    def f(tree):
        w, (x, (y, scale)), point = tree["w"], tree["b"], tree["point"]
        return (w @ x * y).sum() * scale + point.x * point.y

    gradient = transforms.grad(f)(tree)
    expected = {"w": 2 * np.outer(Y, X), "b": [2 * A.T @ Y, (2 * A @ X, A @ X @ Y)], "point": Point(3.0, 1.0)}
    assert equal(gradient, expected)
    assert equal(transforms.grad(f, (0,))(tree), (expected,))


def test_values_may_be_trees():
    value, pullback = transforms.vjp(lambda x, y: {"product": x * y, "more": [x.sum(), (y,)]}, tensor(X), tensor(Y))
    assert equal(value, {"product": X * Y, "more": [X.sum(), (Y,)]})
    assert equal(pullback({"product": V, "more": [2.0, (X,)]}), (V * Y + 2, V * X + X))


def test_a_dict_is_read_by_its_keys_whatever_their_order():
    value, pullback = transforms.vjp(lambda p: {"a": p["a"] ** 2, "b": p["b"]}, {"b": tensor(1.0), "a": tensor(2.0)})
    assert equal(value, {"a": 4.0, "b": 1.0})
    assert equal(pullback({"b": 10.0, "a": 1.0}), ({"b": 10.0, "a": 4.0},))


def test_the_pullback_may_be_called_again():
    _, pullback = transforms.vjp(mixed, tensor(X))
    first = pullback(np.ones(4))[0].data.copy()
    pullback(np.zeros(4))
    assert equal(pullback(np.ones(4)), (first,))


def test_a_value_that_is_returned_twice_gets_both_cotangents():
    def f(x):
        y = x**2
        return y, y, x

    _, pullback = transforms.vjp(f, tensor(3.0))
    assert equal(pullback((1.0, 10.0, 100.0)), (6.0 + 60.0 + 100.0,))
    assert equal(transforms.jacobian(f)(tensor(3.0)), (6.0, 6.0, 1.0))
    w = tensor(2.0, requires_grad=True)
    assert equal(transforms.jacobian(lambda x: (y := w * x, y))(tensor(3.0)), (2.0, 2.0))


def test_what_does_not_depend_on_an_argument_has_zero_gradient():
    c, w = tensor(V), tensor(V, requires_grad=True)
    for f in (lambda x: c.sum(), lambda x: (c * 1.0).sum(), lambda x: (w * 2).sum(), lambda x: w[0], lambda x: x.detach().sum()):
        gradient = transforms.grad(f)(tensor(X))
        assert equal(gradient, np.zeros(3))
        assert not gradient.requires_grad
        assert equal(transforms.jvp(f, (tensor(X),), (V,))[1], 0.0)
        assert equal(transforms.hessian(f)(tensor(X)), np.zeros((3, 3)))
    assert equal(transforms.vjp(lambda x: (), tensor(X))[1](()), (np.zeros(3),))
    assert transforms.vjp(lambda: tensor(1.0))[1](1.0) == ()


def test_an_argument_twice_is_two_arguments():
    x = tensor(3.0)
    assert equal(transforms.grad(lambda a, b: a * b**2, (0, 1))(x, x), (9.0, 18.0))
    w = tensor(3.0, requires_grad=True)
    assert equal(transforms.grad(lambda a, b: a * b**2, (0, 1))(w, w), (9.0, 18.0))


def test_has_aux():
    def f(x):
        y = x**2
        return y.sum(), {"y": y, "x": x, "note": "text", "count": 3}

    (value, aux), gradient = transforms.value_and_grad(f, has_aux=True)(tensor(X))
    assert equal(value, (X**2).sum())
    assert equal(gradient, 2 * X)
    assert equal(aux["y"], X**2)
    assert (aux["note"], aux["count"]) == ("text", 3)
    assert not any(t.requires_grad for t in (value, aux["y"], aux["x"], gradient))
    value, pullback, aux = transforms.vjp(lambda x: (x * 2, [x]), tensor(X), has_aux=True)
    assert equal((value, pullback(V), aux), (2 * X, (2 * V,), [X]))


def test_the_names_and_texts_of_a_function_are_its_transforms_too():
    def f(x):
        """The doc."""
        return x**2

    both = transforms.value_and_grad(f), transforms.grad(f), transforms.jacobian(f), transforms.checkpoint(f)
    assert [(g.__name__, g.__doc__) for g in both] == [("f", "The doc.")] * 4
    layer = Tanh()
    assert vars(transforms.grad(layer)).keys() == {"__wrapped__"}


# -- the Jacobian and its products ---------------------------------------------------------------------------------------


def jacobian_by_differences(f, x):
    columns = [difference(lambda h, e=e: f(tensor(x + h * e)).data, 1e-3) for e in np.eye(x.size)]
    return np.stack(columns, -1)


def test_the_jacobian_has_the_shape_of_the_output_and_then_of_the_input():
    assert equal(transforms.jacobian(mixed)(tensor(X)), jacobian_by_differences(mixed, X), 1e-8)
    b = RANDOM.standard_normal((2, 3))
    found = transforms.jacobian(lambda x: einsum("ij,kj->ik", x, tensor(A)))(tensor(b))
    assert equal(found, np.einsum("ia,kb->ikab", np.eye(2), A))
    assert equal(transforms.jacobian(lambda x: x**2)(tensor(3.0)), 6.0)


@pytest.mark.parametrize(("count", "size"), [(0, 3), (3, 0), (0, 0)])
def test_the_jacobian_of_nothing(count, size):
    def f(x):
        return zeros(count, dtype=np.float64) * x.sum()

    for dtype in (np.float32, np.float64):
        found = transforms.jacobian(lambda x, dtype=dtype: f(x).astype(dtype))(Tensor(np.zeros(size), dtype=dtype))
        assert found.shape == (count, size)
        assert found.dtype == dtype
    assert transforms.jacobian(f)(np.zeros(size)).dtype == np.float32


def test_the_jacobian_of_trees():
    found = transforms.jacobian(lambda x, p: {"y": p["a"] * x, "s": x.sum()}, (0, 1))(tensor(X), {"a": tensor(2.0)})
    expected = {"y": (2 * np.eye(3), {"a": X}), "s": (np.ones(3), {"a": 0.0})}
    assert equal(found, expected)
    found = transforms.jacobian(lambda x, p: [p["a"] * x], 1)(tensor(X), {"a": tensor(2.0)})
    assert equal(found, [{"a": X}])


def test_the_hessian_of_a_quadratic_form():
    found = transforms.hessian(lambda x: x @ tensor(A) @ x)(tensor(X))
    assert equal(found, A + A.T)


def test_the_hessian_is_symmetric():
    h = transforms.hessian(mixed_scalar)(tensor(X)).data
    np.testing.assert_allclose(h, h.T, 1e-12)
    np.testing.assert_allclose(h, jacobian_by_differences(transforms.grad(mixed_scalar), X), 1e-7)


def test_the_hessian_of_several_outputs_and_arguments():
    found = transforms.hessian(lambda x: x**3)(tensor(X))
    assert equal(found, 6 * np.einsum("i,ij,ik->ijk", X, np.eye(3), np.eye(3)))
    (xx, xy), (yx, yy) = transforms.hessian(lambda x, y: (x @ tensor(A) @ y) * y.sum(), (0, 1))(tensor(X), tensor(Y))
    assert equal(xx, np.zeros((3, 3)))
    assert equal(xy, A * Y.sum() + np.outer(A @ Y, np.ones(3)))
    assert equal(yx, xy.data.T)
    assert equal(yy, np.add.outer(X @ A, X @ A))


@pytest.mark.parametrize("f", [mixed, lambda x: x[0] * x, lambda x: {"a": x.exp(), "b": (x[1],)}, lambda x: x.softmax()])
def test_the_pullback_is_the_transpose_of_the_pushforward(f):
    """<g, J v> = <J^T g, v>."""
    value, pullback = transforms.vjp(f, tensor(X))
    same, pushed = transforms.jvp(f, (tensor(X),), (tensor(V),))
    random = np.random.default_rng(0)
    g = [random.standard_normal(y.shape) for y in leaves(value)]
    assert [np.array_equal(a.data, b.data) for a, b in zip(leaves(value), leaves(same), strict=True)] == [True] * len(g)
    (pulled,) = pullback(transforms._rebuilt(value, g))
    assert np.isclose(sum(np.sum(a * b.data) for a, b in zip(g, leaves(pushed), strict=True)), pulled.data @ V, 1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_jvp_of_every_rule(name):
    """Along a random direction, against differences; the pullbacks are linear, and can be pulled back."""
    rule, random = getattr(rules, name), np.random.default_rng(0)
    for case in TABLE[name].cases[:6]:
        wanted = differentiable(case, TABLE[name].constants)
        primals = tuple(tensor(case.inputs[i]) for i in wanted)
        tangents = tuple(random.standard_normal(x.shape) for x in primals)

        def f(*chosen, case=case, wanted=wanted, rule=rule):
            given = dict(zip(wanted, chosen, strict=True))
            return apply(rule, *[given.get(i, x) for i, x in enumerate(case.inputs)], **case.options)

        if not primals:
            continue
        with default_dtype(np.float64):
            value, pushed = transforms.jvp(f, primals, tangents)
            g = cotangent(random, tuple(y.data for y in parts(value)))
            expected = difference(
                lambda h, f=f, g=g, primals=primals, tangents=tangents: projected(
                    tuple(y.data for y in parts(f(*[x + h * v for x, v in zip(primals, tangents, strict=True)]))), g
                )
            )
        assert close(projected(tuple(y.data for y in parts(pushed)), g), expected), case


def test_hvp_is_the_product_with_the_hessian():
    h = transforms.hessian(mixed_scalar)(tensor(X)).data
    assert equal(transforms.hvp(mixed_scalar, (tensor(X),), (tensor(V),)), (h @ V,))
    ((xx, xy), (yx, yy)) = transforms.hessian(lambda x, y: (x * y).exp().sum() * x[0], (0, 1))(tensor(X), tensor(Y))
    found = transforms.hvp(lambda x, y: (x * y).exp().sum() * x[0], [tensor(X), tensor(Y)], [V, X])
    assert equal(found, (xx.data @ V + xy.data @ X, yx.data @ V + yy.data @ X))


def test_products_with_trees():
    primals, tangents = ({"a": tensor(X), "b": [tensor(2.0)]},), ({"a": V, "b": [3.0]},)

    def f(p):
        return p["b"][0] ** 2 * p["a"]

    assert equal(transforms.jvp(f, primals, tangents), (4 * X, 4 * V + 12 * X))
    assert equal(transforms.hvp(lambda p: f(p).sum(), primals, tangents), ({"a": 12.0 * np.ones(3), "b": [4 * V.sum() + 6 * X.sum()]},))
    assert equal(transforms.jvp(lambda x, y: x * y, [tensor(2.0), 3.0], (1.0, 10.0)), (6.0, 23.0))


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: transforms.grad(f)(X),
        lambda f: transforms.value_and_grad(f)(X),
        lambda f: transforms.jvp(f, (X,), (V,)),
        lambda f: transforms.hvp(f, (X,), (V,)),
        lambda f: transforms.jacobian(f)(X),
        lambda f: transforms.hessian(f)(X),
        lambda f: transforms.grad(lambda x: (transforms.grad(f)(x) ** 2).sum())(X),
    ],
)
def test_every_transform_runs_the_function_once(transform):
    runs = []
    transform(lambda x: runs.append(x) or cubes(x))
    assert len(runs) == 1


# -- nesting -------------------------------------------------------------------------------------------------------------


def test_derivatives_of_derivatives():
    f = transforms.grad(lambda x: x**4)
    assert [equal(f(tensor(2.0)), 32.0), equal(transforms.grad(f)(tensor(2.0)), 48.0)] == [True] * 2
    assert equal(transforms.grad(transforms.grad(f))(tensor(2.0)), 48.0)
    assert equal(transforms.grad(transforms.grad(transforms.grad(f)))(tensor(2.0)), 24.0)
    assert equal(transforms.grad(transforms.grad(transforms.grad(transforms.grad(f))))(tensor(2.0)), 0.0)


def derivative_by_jvp(f):
    return lambda x: transforms.jvp(f, (x,), (1.0,))[1]


def derivative_by_vjp(f):
    return lambda x: transforms.vjp(f, x)[1](1.0)[0]


def derivative_by_value_and_grad(f):
    return lambda x: transforms.value_and_grad(f)(x)[1]


DERIVATIVES = [transforms.grad, transforms.jacobian, derivative_by_jvp, derivative_by_vjp, derivative_by_value_and_grad]


@pytest.mark.parametrize("outer", range(5))
@pytest.mark.parametrize("middle", range(5))
@pytest.mark.parametrize("inner", [0, 2, 3])
def test_transforms_nest_in_any_combination(outer, middle, inner):
    third = DERIVATIVES[outer](DERIVATIVES[middle](DERIVATIVES[inner](lambda x: (2 * x).sin() * x)))
    x = 0.7  # (x sin 2x)''' = -12 sin 2x - 8 x cos 2x
    found = third(tensor(x))
    assert equal(found, -12 * np.sin(2 * x) - 8 * x * np.cos(2 * x), 1e-10)
    assert not found.requires_grad


@pytest.mark.parametrize("derivative", range(5))
@pytest.mark.parametrize("inner", range(5))
def test_perturbations_are_not_confused(derivative, inner):
    d, e = DERIVATIVES[derivative], DERIVATIVES[inner]
    # d/dx [x d/dy (x + y)] = 1, though a d/dy that took x's perturbation for y's would give 2.
    assert equal(d(lambda x: x * e(lambda y: x + y)(tensor(2.0)))(tensor(1.0)), 1.0)
    # d/dx [x d/dy (x y) at y = x] = d/dx x^2
    assert equal(d(lambda x: x * e(lambda y: x * y)(x))(tensor(3.0)), 6.0)
    # d/dx [d/dy (x y^2) at y = x] = d/dx 2 x^2
    assert equal(d(lambda x: e(lambda y: x * y * y)(x))(tensor(3.0)), 12.0)
    # d/dx [d/dy (x y^2) at y = 5] = 10
    assert equal(d(lambda x: e(lambda y: x * y * y)(tensor(5.0)))(tensor(3.0)), 10.0)
    # what the inner one returns without its argument is constant to it, and not to the outer one
    assert equal(d(lambda x: x * e(lambda y: x * 1.0)(x) + x)(tensor(3.0)), 1.0)


def test_hessian_of_a_function_that_takes_a_hessian():
    """d/dx of the trace of the Hessian of sum y^4, at y = x: 12 x^2."""
    found = transforms.grad(lambda x: einsum("ii", transforms.hessian(lambda y: (y**4).sum())(x)))(tensor(X))
    assert equal(found, 24 * X)
    found = transforms.hessian(lambda x: transforms.hvp(lambda y: (y**4).sum(), (x,), (V,))[0].sum())(tensor(X))
    assert equal(found, np.diag(24 * V))


def test_jvp_differentiates_in_its_tangents_and_primals():
    along = transforms.jacobian(lambda v: transforms.jvp(mixed, (tensor(X),), (v,))[1])(tensor(V))
    assert equal(along, transforms.jacobian(mixed)(tensor(X)).data)
    found = transforms.grad(lambda x: transforms.jvp(mixed_scalar, (x,), (tensor(V),))[1])(tensor(X))
    assert equal(found, transforms.hessian(mixed_scalar)(tensor(X)).data @ V, 1e-10)


def test_a_pullback_differentiates_in_its_cotangent():
    _, pullback = transforms.vjp(mixed, tensor(X))
    transposed = transforms.jacobian(lambda g: pullback(g)[0])(tensor(np.zeros(4)))
    assert equal(transposed, transforms.jacobian(mixed)(tensor(X)).data.T)
    g = tensor(np.ones(4), requires_grad=True)
    (pulled,) = pullback(g)
    pulled.sum().backward()
    np.testing.assert_allclose(g.grad, transforms.jacobian(mixed)(tensor(X)).data.sum(1), 1e-12)


def test_of_several_cotangents_one_may_be_recorded_and_others_numbers_and_arrays():
    g = tensor(Y, requires_grad=True)
    _, pullback = transforms.vjp(lambda x: (x.sum(), x**2, x**3), tensor(X))
    (pulled,) = pullback((2.0, g, V))
    assert equal(pulled, 2 + 2 * X * Y + 3 * X**2 * V)
    pulled.sum().backward()
    np.testing.assert_allclose(g.grad, 2 * X)


def test_a_gradient_penalty_reaches_the_parameters_it_closes_over():
    """f = sum w x^2, penalty = |grad f|^2 = sum 4 w^2 x^2; d/dw = 8 w x^2."""
    w, x = tensor(Y, requires_grad=True), tensor(X)
    gradient = transforms.grad(lambda x: (w * x**2).sum())(x)
    penalty = (gradient**2).sum()
    penalty.backward()
    np.testing.assert_allclose(w.grad, 8 * Y * X**2, 1e-12)
    assert x.grad is None


def test_a_gradient_penalty_reaches_every_parameter_of_a_model():
    with default_dtype(np.float64):
        model = Sequential(Linear(3, 4), Tanh(), Linear(4, 1))
        x = Tensor(RANDOM.standard_normal((5, 3)))

        def penalty():
            return (transforms.grad(lambda x: model(x).sum())(x) ** 2).sum()

        penalty().backward()
        for parameter in model.parameters()[:3]:
            direction, values = RANDOM.standard_normal(parameter.shape), parameter.data.copy()

            def along(h, parameter=parameter, values=values, direction=direction):
                parameter.data = values + h * direction
                return penalty().item()

            assert np.isclose(np.sum(parameter.grad * direction), difference(along), 1e-7)
            parameter.data = values
        np.testing.assert_array_equal(model.parameters()[3].grad, [0])  # the last bias shifts f, not its gradient
        # as a function of a dict of parameters, by transforms throughout
        w, b, u, c = (Tensor(p.data) for p in model.parameters())

        def of(p):
            return (transforms.grad(lambda x: ((x @ p["w"] + p["b"]).tanh() @ p["u"] + c).sum())(x) ** 2).sum()

        value, gradient = transforms.value_and_grad(of)({"w": w, "b": b, "u": u})
        assert equal(gradient, dict(zip("wbu", [p.grad for p in model.parameters()], strict=False)), 1e-10)
        assert not value.requires_grad
        assert not any(g.requires_grad for g in gradient.values())


def test_a_gradient_with_respect_to_a_tensor_that_requires_one_is_differentiable():
    x = tensor(X, requires_grad=True)
    gradient = transforms.grad(cubes)(x)
    assert gradient.requires_grad
    gradient.sum().backward()
    np.testing.assert_allclose(x.grad, 6 * X)
    y = x * 2  # a result of an operation
    transforms.grad(cubes)(y).sum().backward()
    np.testing.assert_allclose(x.grad, 6 * X + 24 * X)


def test_transforms_and_gradients_mix():
    x = tensor(X, requires_grad=True)
    (slope,) = gradients(transforms.grad(cubes)(x).sum(), [x], create_graph=True)
    assert equal(slope, 6 * X)
    assert equal(gradients(slope.sum(), [x])[0], 6 * np.ones(3))

    def f(x):
        return gradients(cubes(x), [x], create_graph=True)[0]

    assert equal(transforms.jacobian(f)(tensor(X)), np.diag(6 * X))


def test_a_closed_over_result_whose_graph_was_freed_is_a_constant():
    w = tensor(Y, requires_grad=True)
    h = w * w
    h.sum().backward()
    assert equal(transforms.grad(lambda x: (x * h).sum())(tensor(X)), Y**2)


# -- what is recorded ----------------------------------------------------------------------------------------------------


def replays(call):
    """Whether a rule was run on Tensors, and the result of the call."""
    seen = []

    @transforms.custom_rule
    def double(x):
        seen.append(isinstance(x, Tensor))
        return x * 2.0, (lambda g: g * 2.0,)

    result = call(double)
    return any(seen), result


W = tensor(Y, requires_grad=True)
C = tensor(Y)
RECORDED = {
    "nothing else": (False, lambda d: transforms.grad(lambda x: (d(x) * C).sum())(tensor(X))),
    "a parameter closed over": (True, lambda d: transforms.grad(lambda x: (d(x) * W).sum())(tensor(X))),
    "a result closed over": (True, lambda d: transforms.grad(lambda x, h=W * 2: (d(x) * h).sum())(tensor(X))),
    "an argument that requires a gradient": (True, lambda d: transforms.grad(lambda x: (d(x) ** 2).sum())(W)),
    "another argument that requires one": (True, lambda d: transforms.grad(lambda x, w: (d(x) * w).sum())(tensor(X), W)),
    "a cotangent that requires one": (True, lambda d: transforms.vjp(d, tensor(X))[1](W)[0]),
    "a cotangent that requires none": (False, lambda d: transforms.vjp(d, tensor(X))[1](C)[0]),
    "tangents that require one": (True, lambda d: transforms.jvp(d, (tensor(X),), (W,))[1]),
    "within no_grad": (False, lambda d: no_grad()(transforms.grad(lambda x: (d(x) ** 2 * W).sum()))(W)),
    "detached": (False, lambda d: transforms.grad(lambda x: (d(x) * W.detach()).sum())(tensor(X))),
    "a parameter within no_grad inside": (False, lambda d: transforms.grad(lambda x: (d(x) * no_grad()(lambda: W * 2)()).sum())(tensor(X))),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_derivative_is_recorded_where_something_else_requires_a_gradient(name):
    recorded, call = RECORDED[name]
    replayed, gradient = replays(call)
    assert gradient.requires_grad == recorded
    assert replayed == recorded
    assert not gradient.requires_grad or not gradient.is_leaf


def test_a_derivative_that_does_not_depend_on_what_else_is_recorded_is_not():
    value, gradient = transforms.value_and_grad(lambda x: (x**2).sum() + W.sum())(tensor(X))
    assert value.requires_grad
    assert not gradient.requires_grad
    assert gradient.is_leaf
    assert equal(gradient, 2 * X)


def test_a_value_that_is_a_parameter_is_recorded():
    value, pullback = transforms.vjp(lambda x: W, tensor(X))
    assert value.requires_grad
    assert equal(pullback(V), (np.zeros(3),))


def test_a_pullback_called_within_no_grad_records_nothing():
    _, pullback = transforms.vjp(lambda x: W * x**2, tensor(X))
    for g in (V, W):
        with no_grad():
            (pulled,) = pullback(g)
        assert not pulled.requires_grad
        assert equal(pulled, 2 * (g.data if g is W else g) * Y * X)


def test_each_value_is_recorded_by_itself():
    (a, b), _ = transforms.vjp(lambda x: (x * W, x * 2), tensor(X))
    assert (a.requires_grad, b.requires_grad) == (True, False)
    a.sum().backward()
    np.testing.assert_allclose(W.grad, X)
    W.zero_grad()
    (_, aux), _ = transforms.value_and_grad(lambda x: (x.sum(), (x, W * x)), has_aux=True)(tensor(X))
    assert [t.requires_grad for t in aux] == [False, True]


def test_values_and_products_of_constants_are_leaves():
    x = tensor(X)
    found = [*transforms.jvp(mixed, (x,), (V,)), *transforms.hvp(cubes, (x,), (V,)), transforms.jacobian(mixed)(x)]
    found += [transforms.hessian(mixed)(x), *transforms.value_and_grad(cubes)(x), transforms.vjp(mixed, x)[0]]
    assert not any(t.requires_grad for t in found)
    assert all(t.is_leaf for t in found)


def test_the_results_of_parameters_closed_over_are_recorded_in_every_transform():
    x, w = tensor(X), tensor(Y, requires_grad=True)

    def f(x):
        return (w * x**3).sum()

    found = [*transforms.jvp(f, (x,), (V,)), *transforms.hvp(f, (x,), (V,)), transforms.jacobian(f)(x), transforms.hessian(f)(x)]
    expected = [X**3, 3 * X**2 * V, 6 * X * V, 3 * X**2, 6 * X]
    for result, derivative in zip(found, expected, strict=True):
        w.zero_grad()
        result.sum().backward(retain_graph=True)  # the value and the tangent of a jvp share a part of their graph
        np.testing.assert_allclose(w.grad, derivative, 1e-12)


def test_an_outer_transform_does_not_record_for_a_variable_of_an_inner_one():
    def f(w, double):
        return (transforms.grad(lambda x: (w * double(x) ** 2).sum())(tensor(X)) ** 2).sum()

    replayed, gradient = replays(lambda double: transforms.grad(f)(tensor(Y), double))
    assert replayed  # by the inner one
    assert not gradient.requires_grad
    assert equal(gradient, 2 * 64 * Y * X**2)


def test_no_tensor_of_the_caller_changes():
    x, w, h = tensor(X), tensor(Y, requires_grad=True), tensor(V, requires_grad=True) * 2
    before = [x.data.copy(), w.data.copy(), h.data.copy()]

    def f(x):
        return (x * w * h).sum() ** 2

    for call in (
        transforms.grad(f),
        transforms.hessian(f),
        lambda x: transforms.jvp(f, (x,), (w,)),
        lambda x: transforms.hvp(f, (x,), (h,)),
    ):
        for argument in (x, w, h):
            call(argument)
    assert [x.requires_grad, w.requires_grad, h.requires_grad] == [False, True, True]
    assert [x.is_leaf, w.is_leaf, h.is_leaf] == [True, True, False]
    assert [x._grad, w._grad, h._grad] == [None] * 3
    for t, values in zip((x, w, h), before, strict=True):
        np.testing.assert_array_equal(t.data, values)


def test_a_derivative_owns_its_values():
    x, g = tensor(X), tensor(V)
    for f in (lambda x: x, lambda x: x + 1.0, lambda x: x.reshape(3)):
        (pulled,) = transforms.vjp(f, x)[1](g)
        a, b = transforms.vjp(lambda x, y: x + y, x, x)[1](g)
        assert not any(np.shares_memory(p, q) for p, q in [(pulled.data, g.data), (a.data, b.data), (a.data, g.data)])
        assert pulled.data.flags.writeable


def test_within_no_grad_a_transform_computes_the_same_and_records_nothing_for_its_caller():
    w, x = tensor(Y, requires_grad=True), tensor(X, requires_grad=True)

    def f(x):
        return (w * x**3).sum()

    with no_grad():
        value, gradient = transforms.value_and_grad(f)(x)
        second = transforms.hessian(f)(x)
        _, pushed = transforms.jvp(f, (x,), (V,))
        assert equal(transforms.grad(lambda w: (transforms.grad(lambda x: (w * x**2).sum())(x) ** 2).sum())(w), 8 * Y * X**2)
        assert not (x * 2).requires_grad
    assert equal([value, gradient, second, pushed], [Y @ X**3, 3 * Y * X**2, np.diag(6 * Y * X), 3 * Y * X**2 @ V])
    assert not any(t.requires_grad for t in (value, gradient, second, pushed))
    assert (x * 2).requires_grad


def test_no_grad_within_the_function_counts():
    def f(x):
        with no_grad():
            scale = x.sum()
        return (x * scale).sum()

    assert equal(transforms.grad(f)(tensor(X)), X.sum() * np.ones(3))


def test_transforms_of_two_threads_do_not_meet():
    found = {}

    def work(k):
        found[k] = transforms.hessian(lambda x: (x**k).sum())(tensor(X)).data

    threads = [threading.Thread(target=work, args=(k,)) for k in (2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in (2, 3, 4):
        np.testing.assert_allclose(found[k], np.diag(k * (k - 1) * X ** (k - 2)), 1e-12)


def test_the_graph_of_a_transform_is_freed_with_its_result():
    kept = []

    def f(x):
        y = x**2
        kept.append(weakref.ref(y._node))
        return (y * y).sum()

    gc.collect()
    gc.disable()
    try:
        for call in (
            transforms.grad(f),
            transforms.hessian(f),
            lambda x: transforms.jvp(f, (x,), (V,)),
            lambda x: transforms.hvp(f, (x,), (V,)),
        ):
            result = call(tensor(X))
            assert kept.pop()() is None
            result = call(tensor(X, requires_grad=True))
            assert kept[-1]() is not None
            del result
            assert kept.pop()() is None
        _, pullback = transforms.vjp(f, tensor(X))
        assert kept[-1]() is not None
        del pullback, _
        assert kept.pop()() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- stop_gradient -------------------------------------------------------------------------------------------------------


def test_stop_gradient_is_a_constant_to_every_transform():
    stop = transforms.stop_gradient
    assert equal(transforms.grad(lambda x: x * stop(x))(tensor(3.0)), 3.0)
    assert equal(transforms.hessian(lambda x: x**2 * stop(x))(tensor(3.0)), 6.0)
    assert equal(transforms.jvp(lambda x: x * stop(x**2), (tensor(3.0),), (1.0,)), (27.0, 9.0))
    assert equal(transforms.grad(lambda x: transforms.grad(lambda y: y * stop(x) * y)(x))(tensor(3.0)), 6.0)


def test_stop_gradient_of_a_tree():
    x = tensor(X, requires_grad=True)
    found = transforms.stop_gradient({"a": [x, 2.0], "b": ("text", x * 2)})
    assert equal([found["a"][0], found["b"][1]], [X, 2 * X])
    assert (found["a"][1], found["b"][0]) == (2.0, "text")
    assert not found["a"][0].requires_grad
    assert not found["b"][1].requires_grad


# -- checkpoint ----------------------------------------------------------------------------------------------------------


def bitwise(found, expected):
    assert len(found) == len(expected)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def gradients_of(model, x, block=lambda f, *args: f(*args)):
    """Of a chain of blocks, of all parameters and of x."""
    for parameter in model.parameters():
        parameter.zero_grad()
    x = Tensor(x, requires_grad=True)
    h = x
    for layer in model.layers:
        h = block(layer, h)
    (h * h).mean().backward()
    return [p.grad for p in model.parameters()] + [x.grad]


class Block(Module):
    """x + dropout(tanh(batch_norm(linear(x)))), with a generator of its own."""

    def __init__(self, seed):
        generator = np.random.default_rng(seed)
        self.body = Sequential(Linear(4, 4, generator=generator), BatchNorm(4), Tanh(), Dropout(0.3, generator), Dropout(0.1))

    def forward(self, x):
        return x + self.body(x)


def chain():
    effects.set_seed(5)
    return Sequential(*(Block(i) for i in range(4)))


def test_a_chain_of_checkpoints_has_the_same_gradients_bit_for_bit():
    """Of parameters that are closed over, with dropout and running statistics, which are updated once."""
    x = RANDOM.standard_normal((6, 4))
    plain, other = chain(), chain()
    expected = gradients_of(plain, x)
    effects.set_seed(5)
    chain()
    found = gradients_of(other, x, transforms.checkpoint)
    assert bitwise(found, expected)
    assert bitwise([a for _, a in other.named_buffers()], [a for _, a in plain.named_buffers()])
    assert not np.array_equal(plain.layers[0].body[1].running_mean, np.zeros(4))
    # the generators are where one run leaves them
    after = [layer.body[3].generator.random() for layer in other.layers], effects.default_generator().random()
    chain(), gradients_of(again := chain(), x)
    assert after[0] == [layer.body[3].generator.random() for layer in again.layers]


def test_draws_after_a_checkpoint_do_not_repeat_its_own():
    generator = np.random.default_rng(1)

    def f(x):
        return x * effects.draw(generator, "random", 3)

    x = tensor(X, requires_grad=True)
    y = transforms.checkpoint(f, x)
    between = generator.random(3)
    y.sum().backward()
    drawn = np.random.default_rng(1).random((3, 3))
    np.testing.assert_array_equal(x.grad, drawn[0])
    np.testing.assert_array_equal([between, generator.random(3)], drawn[1:])


def test_state_that_a_function_reads_and_writes_is_wound_back_and_left_as_it_is():
    count = np.zeros(1)

    def f(x):
        effects.assign(count, count + 1)
        return x * (count * 1)

    x = tensor(X, requires_grad=True)
    y = transforms.checkpoint(f, x)
    z = transforms.checkpoint(f, x)
    (y + 10 * z).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 21.0))
    assert count[0] == 2


def test_an_array_that_a_function_makes_and_writes_is_written_again():
    def f(x):
        mask = zeros(3, dtype=np.float64)
        mask[1] = 2.0
        return x * mask

    x = tensor(X, requires_grad=True)
    transforms.checkpoint(f, x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 2, 0])


def test_checkpoint_as_a_decorator_and_with_keywords():
    @transforms.checkpoint
    def f(x, *, scale):
        return x**2 * scale

    x = tensor(X, requires_grad=True)
    f(x, scale=3.0).sum().backward()
    np.testing.assert_allclose(x.grad, 6 * X)
    x.zero_grad()
    transforms.checkpoint(lambda x, scale: x**2 * scale, x=x, scale=2.0).sum().backward()
    np.testing.assert_allclose(x.grad, 4 * X)
    w = tensor(2.0, requires_grad=True)
    transforms.checkpoint(lambda: w**3)().backward()
    assert w.grad == 12


def test_checkpoint_returns_trees_and_passes_on_what_needs_no_gradient():
    x, c = tensor(X, requires_grad=True), tensor(V)

    def f(x):
        return {"y": x * 2, "rest": (c, "text", [x.exp(), 3]), "unused": x.sin(), "nothing": None}

    found = transforms.checkpoint(f, x)
    assert found["rest"][0] is c
    assert (found["rest"][1], found["rest"][2][1], found["nothing"]) == ("text", 3, None)
    assert [id(t) for t in found["y"]._node.whole.inputs] == [id(x)]
    assert equal([found["y"], found["rest"][2][0]], [2 * X, np.exp(X)])
    (found["y"] * found["rest"][2][0]).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * np.exp(X) + 2 * X * np.exp(X), 1e-12)


def test_checkpoint_sums_over_outputs_of_which_some_are_inputs():
    """y is x itself, h was made before; a path through h counts once."""
    x = tensor(X, requires_grad=True)
    h = x * 3
    y, z = transforms.checkpoint(lambda x: (x, x * h), x)
    (y * 10 + z).sum().backward()
    np.testing.assert_allclose(x.grad, 10 + 6 * X, 1e-12)
    np.testing.assert_allclose(h.grad, X)


def test_checkpoint_of_both_a_tensor_and_what_was_made_of_it():
    x = tensor(X, requires_grad=True)
    h = x**2
    transforms.checkpoint(lambda x, h: (x * h).sin(), x, h).sum().backward()
    np.testing.assert_allclose(x.grad, 3 * X**2 * np.cos(X**3), 1e-12)


def test_checkpoint_of_one_value_of_several():
    def halves(x):
        return (x[:2] * 2.0, x[2:] * 3.0), (lambda g: np.concatenate([g[0] * 2.0, g[1] * 3.0]),)

    x = tensor(X, requires_grad=True)
    a, b = apply(halves, x)
    transforms.checkpoint(lambda: a[:1] * b)().sum().backward()
    np.testing.assert_allclose(x.grad, [6 * X[2], 0, 6 * X[0]])


def test_where_nothing_requires_a_gradient_checkpoint_only_runs_the_function():
    runs = []

    def f(x):
        runs.append(1)
        return x * 2

    y = transforms.checkpoint(f, tensor(X))
    assert y.is_leaf
    with no_grad():
        assert transforms.checkpoint(f, tensor(X, requires_grad=True)).is_leaf
    assert len(runs) == 2


def test_the_function_runs_again_once_per_walk_however_many_inputs():
    runs = []

    def f(x, w, b):
        runs.append(1)
        return x * w + b

    x, w, b = (tensor(values, requires_grad=True) for values in (X, Y, V))
    y = transforms.checkpoint(f, x, w, b).sum()
    assert len(runs) == 1
    y.backward(retain_graph=True)
    assert len(runs) == 2
    y.backward(retain_graph=True)
    assert len(runs) == 3
    np.testing.assert_allclose([x.grad, w.grad, b.grad], [2 * Y, 2 * X, 2 * np.ones(3)])
    gradients(y, [w])
    assert len(runs) == 4
    gradients(y, [w, x], create_graph=True)
    assert len(runs) == 5


def test_the_second_run_records_and_has_the_default_dtype_of_the_first():
    def f(x):
        return x * Tensor([1 / 3])

    with default_dtype(np.float64):
        x = Tensor(X, requires_grad=True)
        y = transforms.checkpoint(f, x)
    loss = y.sum()
    with no_grad():
        loss.backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 1 / 3))
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float64)


def test_second_derivatives_through_checkpoint():
    w = tensor(Y, requires_grad=True)

    def f(x):
        return (w * x).tanh() * x

    def g(x):
        return transforms.checkpoint(f, x)

    x = tensor(X)
    assert equal(transforms.jacobian(g)(x), transforms.jacobian(f)(x).data)
    assert equal(transforms.hessian(g)(x), transforms.hessian(f)(x).data)
    assert equal(transforms.jvp(g, (x,), (V,)), tuple(t.data for t in transforms.jvp(f, (x,), (V,))))
    for h in (f, g):
        w.zero_grad()
        (transforms.grad(lambda x, h=h: h(x).sum())(x) ** 2).sum().backward()
        if h is f:
            expected = w.grad
    np.testing.assert_allclose(w.grad, expected, 1e-12)
    third = transforms.grad(lambda x: transforms.hvp(lambda y: g(y).sum(), (x,), (V,))[0].sum())
    assert equal(third(x), transforms.grad(lambda x: transforms.hvp(lambda y: f(y).sum(), (x,), (V,))[0].sum())(x).data)


def test_checkpoints_nest_and_take_transforms():
    generator = np.random.default_rng(2)

    def inner(x):
        return x.sin() * effects.draw(generator, "random", 3)

    def outer(x):
        y = transforms.checkpoint(inner, x * effects.draw(generator, "random", 3))
        return transforms.checkpoint(inner, y) * effects.draw(generator, "random", 3)

    def slopes(x):
        return transforms.grad(lambda y: (transforms.checkpoint(inner, y) ** 2).sum())(x)

    for f in (outer, slopes, lambda x: slopes(outer(x))):
        generator = np.random.default_rng(2)
        plain = tensor(X, requires_grad=True)
        original, transforms.checkpoint = transforms.checkpoint, lambda f, *args: f(*args)
        try:
            f(plain).sum().backward()
        finally:
            transforms.checkpoint = original
        expected_state = generator.bit_generator.state
        generator = np.random.default_rng(2)
        x = tensor(X, requires_grad=True)
        transforms.checkpoint(f, x).sum().backward()
        np.testing.assert_allclose(x.grad, plain.grad, 1e-12)
        assert generator.bit_generator.state == expected_state


def peak(build):
    """The most memory held during a forward and backward run beyond what was held before, in bytes."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        build()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def deep(block, depth=12, width=8, size=40_000):
    x = Tensor(np.ones(size), requires_grad=True)

    def f(h):
        for _ in range(width):
            h = h.sin() * 1.01
        return h

    def build():
        h = x
        for _ in range(depth):
            h = block(f, h)
        h.sum().backward()
        x.zero_grad()

    return build, x.data.nbytes


def test_checkpoints_hold_their_inputs_and_one_block_of_intermediate_results():
    """sin keeps its input, and the product its own: 2 arrays for each of the 8 steps of 12 blocks, of 13 inputs and 16 arrays at a time."""
    build, nbytes = deep(lambda f, h: f(h))
    plain = peak(build) / nbytes
    build, nbytes = deep(transforms.checkpoint)
    checkpointed = peak(build) / nbytes
    assert 96 < plain
    assert checkpointed < 40


def test_a_checkpoint_keeps_no_intermediate_result_between_the_runs():
    kept = []

    def f(x):
        y = x.exp()
        kept.append(weakref.ref(y))
        return y.sin().sum()

    gc.collect()
    gc.disable()
    try:
        x = tensor(X, requires_grad=True)
        y = transforms.checkpoint(f, x)
        assert kept[0]() is None
        gradients(y, [x])
        assert kept[1]() is None
        node = weakref.ref(y._node)
        y.backward()
        assert kept[2]() is None
        del y
        assert node() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- rules of one's own --------------------------------------------------------------------------------------------------


@transforms.custom_rule
def scaled_cube(x, scale, *, shift=0.0):
    """scale x^3 + shift."""
    return scale * x**3 + shift, (lambda g: 3 * g * scale * x**2, lambda g: g * x**3)


@transforms.custom_rule
def picked(x, index):
    return np.take(x, index) if not isinstance(x, Tensor) else x[index], (lambda g: g * (np.arange(3) == index), None)


def test_a_rule_of_ones_own_is_a_function_of_tensors():
    y = scaled_cube(tensor(X), tensor(2.0), shift=1.0)
    assert equal(y, 2 * X**3 + 1)
    assert scaled_cube.__doc__ == "scale x^3 + shift."
    assert scaled_cube(2.0, 3).item() == 24
    assert gradient_check(scaled_cube, (X, np.array(2.0))).passed
    assert gradient_check(lambda x, s: transforms.grad(lambda x: scaled_cube(x, s).sum())(x), (X, np.array(2.0))).passed
    assert equal(transforms.hessian(lambda x: scaled_cube(x, 2.0).sum())(tensor(X)), np.diag(12 * X))


def test_a_wrong_rule_is_found_by_gradient_check():
    @transforms.custom_rule
    def wrong(x):
        return x**3, (lambda g: 2 * g * x**2,)

    assert not gradient_check(wrong, X).passed


def test_an_input_without_a_derivative_gets_none():
    x, index = tensor(X, requires_grad=True), np.array(1)
    picked(x, index).backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 0])
    scaled = transforms.custom_rule(lambda x, scale: (x * scale, (lambda g: g * scale, None)))
    assert equal(transforms.grad(scaled, (0, 1))(2.0, 3.0), (3.0, 0.0))


def test_a_rule_of_several_values():
    @transforms.custom_rule
    def sine_and_cosine(x):
        return (np.sin(x), np.cos(x)), (lambda g: g[0] * np.cos(x) - g[1] * np.sin(x),)

    assert equal(transforms.jacobian(sine_and_cosine)(tensor(0.5)), (np.cos(0.5), -np.sin(0.5)))
    assert equal(transforms.hessian(sine_and_cosine)(tensor(0.5)), (-np.sin(0.5), -np.cos(0.5)))


def test_a_pullback_beyond_numpys_differentiable_functions_has_first_derivatives_only():
    @transforms.custom_rule
    def root(x):
        return np.cbrt(x), (lambda g: g / (3 * np.cbrt(x) ** 2),)

    assert equal(transforms.grad(root)(tensor(8.0)), 1 / 12)
    with pytest.raises(TypeError, match=r"np\.cbrt has no derivative rule here"):
        transforms.grad(transforms.grad(root))(tensor(8.0))


def test_a_rule_may_return_whole_numbers_where_nothing_requires_a_gradient():
    @transforms.custom_rule
    def rounded(x):
        return (np.asarray(x).astype(int), x * 2.0), (lambda g: g[1] * 2.0,)

    count, twice = rounded(tensor([1.7]))
    assert (count.item(), count.dtype, twice.item()) == (1, np.int64, 3.4)


def test_a_pullback_may_return_one_number_for_one_number():
    slope = transforms.custom_rule(lambda x: (x * 2.0, (lambda g: np.float64(2.0),)))
    assert equal(transforms.grad(slope)(tensor(1.0)), 2.0)


def test_a_pullback_of_a_wrong_shape_raises_in_the_walk():
    @transforms.custom_rule
    def wrong(x):
        return x * 2.0, (lambda g: g[:2],)

    with pytest.raises(RuntimeError, match=r"one of wrong returned \(2,\) for an input of shape \(3,\)"):
        transforms.grad(lambda x: wrong(x).sum())(tensor(X))


# -- errors --------------------------------------------------------------------------------------------------------------


def ragged(x, calls=[]):  # noqa: B006 - what makes it return something else the second time
    calls.append(1)
    return x[: len(calls) % 2 + 1] * 2


def popped(x, held):
    return x + held.pop()


def rule_that_returns(result, *inputs):
    return transforms.custom_rule(lambda *arrays: result)(*inputs)


def rule_pulled_back(pullback):
    return transforms.grad(lambda x: transforms.custom_rule(lambda x: (x * 2.0, (pullback,)))(x).sum())(tensor(X))


def nothing(x):
    return None


ONE_NUMBER = "grad() and value_and_grad() need a function that returns one number, got {}. "
ONE_NUMBER += "Reduce it with .sum() or .mean(), or use jacobian() or vjp(). With has_aux=True it may return a pair, (value, aux)."
FLOATING = "a function to be differentiated must return Tensors of floats, got {}. "
FLOATING += "Compute with Tensors throughout; with has_aux=True it may return anything else in a pair, (value, aux)."
ARGUMENTS = "only floating arguments can be differentiated, got dtype {}. Pass floats, or leave it out of argnums."
ARGNUMS = "argnums must be positions of the arguments given, each once, got {} for {} arguments."
COTANGENT = "the cotangent must have the structure and shapes of the function's value, {}, got {}."
TANGENTS = "tangents must have the structure and shapes of the primals, {}, got {}."
TUPLES = "primals and tangents must be tuples, with one entry for each argument, got {} and {}. Write (x,) for a single one."
PULLBACKS = "<lambda>: a rule must return its value and a tuple of pullbacks, got {}. "
PULLBACKS += "Write it as: return value, (pullback_x, pullback_y). (input shape ())"
FLOATS = "<lambda>: a rule must return floats where an input requires a gradient, else numbers, got dtype {}. "
FLOATS += "Compute what has no derivative outside of it."
ARRAY = "a pullback must return an array of its input's shape, got {}. Mend the rule."
COUNT = "<lambda>: a rule must return one pullback for each of its {} inputs, got {}. "
COUNT += "Give None for an input without a derivative; options are keywords. ({})"
MESSAGES = [
    (lambda: transforms.grad(lambda x: x * 2)(X), ValueError, ONE_NUMBER.format("shape (3,)")),
    (lambda: transforms.value_and_grad(lambda x: x * 2)(X), ValueError, ONE_NUMBER.format("shape (3,)")),
    (lambda: transforms.hvp(mixed, (X,), (V,)), ValueError, ONE_NUMBER.format("shape (4,)")),
    (lambda: transforms.grad(lambda x: (x.sum(), x))(X), ValueError, ONE_NUMBER.format("('shape ()', 'shape (3,)')")),
    (lambda: transforms.grad(lambda x: float(x.sum()))(X), TypeError, FLOATING.format("float")),
    (lambda: transforms.vjp(nothing, X), TypeError, FLOATING.format("NoneType")),
    (lambda: transforms.jacobian(lambda x: x.detach().data)(X), TypeError, FLOATING.format("ndarray")),
    (lambda: transforms.vjp(lambda x: (x, x.astype(int)), X), TypeError, FLOATING.format("a Tensor of dtype int64")),
    (
        lambda: transforms.vjp(lambda x: x, X, has_aux=True),
        TypeError,
        "with has_aux=True a function must return a pair, (value, aux), got Tensor.",
    ),
    (
        lambda: transforms.vjp(lambda x: x, X[:2], has_aux=True),
        TypeError,
        "with has_aux=True a function must return a pair, (value, aux), got Tensor.",
    ),
    (
        lambda: transforms.value_and_grad(lambda x: (x, 1, 2), has_aux=True)(X),
        TypeError,
        "with has_aux=True a function must return a pair, (value, aux), got tuple.",
    ),
    (lambda: transforms.grad(cubes)(np.arange(3)), TypeError, ARGUMENTS.format("int64")),
    (lambda: transforms.grad(lambda p: p["a"])({"a": Tensor(np.array(True))}), TypeError, ARGUMENTS.format("bool")),
    (lambda: transforms.grad(cubes, 1)(X), ValueError, ARGNUMS.format(1, 1)),
    (lambda: transforms.grad(cubes, -2)(X), ValueError, ARGNUMS.format(-2, 1)),
    (lambda: transforms.jacobian(cubes, (0, -2))(X, Y), ValueError, ARGNUMS.format((0, -2), 2)),
    (lambda: transforms.grad(cubes)(), ValueError, ARGNUMS.format(0, 0)),
    *[
        (lambda n=n: transforms.grad(cubes, n)(X), TypeError, f"argnums must be a whole number or a tuple of them, got {n!r}.")
        for n in (0.0, None, "0", (0, None))
    ],
    (lambda: transforms.vjp(lambda x: x, X)[1](np.ones(2)), ValueError, COTANGENT.format("shape (3,)", "shape (2,)")),
    (lambda: transforms.vjp(lambda x: x, X)[1](1.0), ValueError, COTANGENT.format("shape (3,)", "shape ()")),
    (lambda: transforms.vjp(lambda x: [x], X)[1]((X,)), ValueError, COTANGENT.format("['shape (3,)']", "('shape (3,)',)")),
    (
        lambda: transforms.vjp(lambda x: {"a": x}, X)[1]({"b": X}),
        ValueError,
        COTANGENT.format("{'a': 'shape (3,)'}", "{'b': 'shape (3,)'}"),
    ),
    (lambda: transforms.jvp(cubes, (X,), (np.ones(2),)), ValueError, TANGENTS.format("('shape (3,)',)", "('shape (2,)',)")),
    (lambda: transforms.hvp(cubes, (X,), (V, V)), ValueError, TANGENTS.format("('shape (3,)',)", "('shape (3,)', 'shape (3,)')")),
    (lambda: transforms.jvp(cubes, Tensor(X), Tensor(V)), TypeError, TUPLES.format("Tensor", "Tensor")),
    (lambda: transforms.jvp(cubes, X, (V,)), TypeError, TUPLES.format("ndarray", "tuple")),
    (lambda: transforms.hvp(cubes, (X,), V), TypeError, TUPLES.format("tuple", "ndarray")),
    (
        lambda: transforms.checkpoint(popped, tensor(X), [W * 2]),
        RuntimeError,
        "checkpoint() must be able to run its function again, but a Tensor that it used is gone. Hold it until after backward().",
    ),
    (
        lambda: transforms.checkpoint(lambda x, calls: ragged(x, calls), tensor(X, requires_grad=True), []).sum().backward(),
        RuntimeError,
        "checkpoint() needs a function that returns the same when it is run again, got shape (2,) and then shape (1,). "
        "Leave what decides that as it was until after backward().",
    ),
    (lambda: rule_that_returns(np.ones(()), 1.0), TypeError, PULLBACKS.format("ndarray")),
    (lambda: rule_that_returns((1.0, cubes), 1.0), TypeError, PULLBACKS.format("('float', 'function')")),
    (lambda: rule_that_returns((1.0, (cubes,), cubes), 1.0), TypeError, PULLBACKS.format("('float', ('function',), 'function')")),
    (lambda: rule_that_returns((1.0, (2.0,)), 1.0), TypeError, PULLBACKS.format("('float', ('float',))")),
    (lambda: rule_that_returns((np.arange(3), (cubes,)), W), TypeError, FLOATS.format("int64")),
    (lambda: rule_that_returns(((X, X > 0), (cubes,)), W), TypeError, FLOATS.format("bool")),
    (lambda: rule_that_returns((None, (cubes,)), X), TypeError, FLOATS.format("object")),
    (lambda: rule_pulled_back(lambda g: None), TypeError, ARRAY.format("NoneType")),
    (lambda: rule_pulled_back(lambda g: 2.0), TypeError, ARRAY.format("float")),
    (lambda: rule_pulled_back(lambda g: (g,)), TypeError, ARRAY.format("tuple")),
    (lambda: rule_that_returns((1.0, (cubes,)), 1.0, X), ValueError, COUNT.format(2, 1, "input shapes () and (3,)")),
    (lambda: rule_that_returns((1.0, (cubes, None)), 1.0), ValueError, COUNT.format(1, 2, "input shape ()")),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
    assert type(error.value) is kind


def test_every_error_has_an_entry():
    assert not unreached(transforms, MESSAGES, {"checked": "apply() tells its errors, as those of a rule"})
