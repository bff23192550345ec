import numpy as np

from micrograd_plus import debug, randn

debug()
x = randn(3, requires_grad=True)
y = x.tanh()
weights = np.array([1.0, 2.0, 0.0]) / np.array([1.0, 1.0, 0.0])
y.backward(gradient=weights)

# ---
# NotFiniteError: the gradient that the backward walk starts with is nan, at tanh in gradient_argument.py, line 7:
#     y = x.tanh()
#   the gradient, shape (3,): at [2] alone
#   likely cause: the gradient= that backward() or gradients() was given, or the cotangent of a transform.
