"""Every rule through the engine on arrays of odd layout, byte order and dtype: the right result, in the right dtype."""

import warnings

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, from_numpy, rules
from micrograd_plus.tensor import apply

from .checks import close, differentiable, in_dtype
from .table import TABLE


def strided(x):
    """Every other element of a larger array."""
    larger = np.zeros([2 * size + 1 for size in x.shape], x.dtype)
    view = larger[(..., *[slice(1, None, 2)] * x.ndim)]
    view[...] = x
    return view


def backwards(x):
    """A view whose strides are negative."""
    turned = (..., *[slice(None, None, -1)] * x.ndim)
    return np.ascontiguousarray(x[turned]).reshape(x.shape)[turned]


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


FORMS = {
    "Fortran order": lambda x: np.array(x, order="F"),
    "strided": strided,
    "backwards": backwards,
    "read-only": read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
}
NO_HALF = {"solve": "float16 is unsupported"}  # LAPACK has no half precision
every_rule = pytest.mark.parametrize("name", TABLE)


def results(name, inputs, options, wanted, dtype=np.float64, make=Tensor):
    """The values, and the gradients of a random projection with respect to the inputs in `wanted`."""
    with default_dtype(dtype):
        given = [make(x, requires_grad=True) if i in wanted else x for i, x in enumerate(inputs)]
        outputs = apply(getattr(rules, name), *given, **options)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if wanted:
            sum((output * np.random.default_rng(0).standard_normal(output.shape)).sum() for output in outputs).backward()
    return [output.data for output in outputs] + [given[i].grad for i in wanted]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [Tensor, from_numpy], ids=["copied", "shared"])
@every_rule
def test_layout_and_byte_order_change_no_result(name, form, make):
    for case in TABLE[name].cases:
        wanted = differentiable(case, TABLE[name].constants)
        odd = [FORMS[form](x) if isinstance(x, np.ndarray) else x for x in case.inputs]
        expected = results(name, case.inputs, case.options, wanted)
        for found, plain in zip(results(name, odd, case.options, wanted, make=make), expected, strict=True):
            assert found.dtype == np.float64
            assert found.dtype.isnative
            assert close(found, plain, 1e-12)


@every_rule
def test_half_precision_stays_and_is_right_to_its_rounding(name):
    for case in TABLE[name].cases:
        wanted = differentiable(case, TABLE[name].constants)
        if not wanted:
            continue
        half = in_dtype(case, np.float16)
        if name in NO_HALF:
            with pytest.raises(TypeError, match=NO_HALF[name]):
                results(name, half.inputs, half.options, wanted, np.float16)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = results(name, half.inputs, half.options, wanted, np.float16)
        expected = results(name, [x.astype(np.float64) if i in wanted else x for i, x in enumerate(half.inputs)], case.options, wanted)
        for ours, exact in zip(found, expected, strict=True):
            assert ours.dtype == np.float16
            np.testing.assert_allclose(ours.astype(np.float64), exact, rtol=2e-2, atol=2e-2)


@every_rule
def test_integers_give_what_floats_of_their_values_give(name):
    """Or a clear error, where whole numbers can't go in: they need no gradient, and what is fractional takes the default dtype."""
    for case in TABLE[name].cases:
        wanted = differentiable(case, TABLE[name].constants)
        if not float(case.options.get("value", 0)).is_integer():
            continue  # a border keeps the array's dtype, as in NumPy
        whole = [np.asarray(np.round(x), np.int64) if i in wanted else x for i, x in enumerate(case.inputs)]
        floats = [x.astype(np.float64) if i in wanted else x for i, x in enumerate(whole)]
        with np.errstate(all="ignore"), default_dtype(np.float64):
            expected = apply(getattr(rules, name), *floats, **case.options)
            try:
                found = apply(getattr(rules, name), *[Tensor(x) if i in wanted else x for i, x in enumerate(whole)], **case.options)
            except (ValueError, TypeError) as error:
                assert str(error).startswith(f"{name}: ")
                continue
        for ours, exact in zip(*([y] if isinstance(y, Tensor) else y for y in (found, expected)), strict=True):
            assert not ours.requires_grad
            assert close(ours.data, exact.data, 1e-6)
