import numpy as np

from micrograd_plus import Linear, debug

income = np.array([[2.0], [3.5], [0.0], [1.0]], np.float32)
ratio = 1 / income

debug()
model = Linear(1, 4)
h = model(ratio).tanh()

# ---
# NotFiniteError: affine (x @ weight + bias) got inf from its input, in infinity_in_data.py, line 10, in Linear:
#     h = model(ratio).tanh()
#   it is in row 2, column 0 of the array `ratio`, assigned in infinity_in_data.py, line 6, shape (4, 1) (counted from
#     0)
#   likely cause: inf in the data. No operation on a Tensor made it: it was read so, or NumPy computed it.
#   what to do: find such rows by ~np.isfinite(data).reshape(len(data), -1).all(axis=1), and drop or mend them before
#     training.
