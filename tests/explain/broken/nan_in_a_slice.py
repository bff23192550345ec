import numpy as np

from micrograd_plus import Linear, Tensor, debug

rows = np.ones((100, 3), np.float32)
rows[59, 1] = np.log(-1.0)

debug()
model = Linear(3, 1)
for start in range(0, 100, 25):
    x = Tensor(rows[start : start + 25])
    model(x).sum().backward()

# ---
# NotFiniteError: affine (x @ weight + bias) got nan from its input, in nan_in_a_slice.py, line 12, in Linear:
#     model(x).sum().backward()
#   it is in row 9, column 1 of the tensor that was made in nan_in_a_slice.py, line 11, shape (25, 3)
#   that is row 59 of `rows`
#   this line has made 3 tensors so far, so it is batch 2 of them (counted from 0)
#   likely cause: nan in the data. No operation on a Tensor made it: it was read so, or NumPy computed it.
#   what to do: find such rows by ~np.isfinite(data).reshape(len(data), -1).all(axis=1), and drop or mend them before
#     training.
