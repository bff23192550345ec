import numpy as np

from micrograd_plus import Tensor, debug

debug()
rng = np.random.default_rng(0)
pixels = rng.random((50, 4))
pixels[:, 2] = 0.0  # a border pixel
x = Tensor(pixels)
x = (x - x.mean(axis=0)) / x.std(axis=0)

# ---
# NotFiniteError: the result of divide is nan, in divide_by_std.py, line 10:
#     x = (x - x.mean(axis=0)) / x.std(axis=0)
#   its result, shape (50, 4): at [0, 2] first, and at 49 more of 200 places
#   there its numerator is 0, made by subtract in divide_by_std.py, line 10
#   there its denominator is 0, made by sqrt in divide_by_std.py, line 10
#   likely cause: 0 / 0 is not a number.
#   what to do: the denominator is a norm or a standard deviation; add a small number to it: x / (s + 1e-8).
