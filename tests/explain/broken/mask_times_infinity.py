import numpy as np

from micrograd_plus import debug, randn

debug()
scores = randn(4, 4, requires_grad=True)
mask = np.tril(np.ones((4, 4)))
attention = (scores + (1 - mask) * -np.inf).softmax(axis=-1)

# ---
# NotFiniteError: add got nan from its right operand, in mask_times_infinity.py, line 8:
#     attention = (scores + (1 - mask) * -np.inf).softmax(axis=-1)
#   it is in row 0, column 0 of a NumPy array, shape (4, 4), and in 9 more places (counted from 0)
#   likely cause: nan in the data. No operation on a Tensor made it: it was read so, or NumPy computed it. It holds inf
#     too, and 0 * inf and inf - inf are not numbers.
#   what to do: mend the NumPy expression in that line.
