import numpy as np

from micrograd_plus import Tensor, debug

debug()
losses = Tensor([0.5, 0.7, 0.1], requires_grad=True)
weights = Tensor(np.array([0.0, 0.0, 0.0]))
loss = (losses * weights).sum() / weights.sum()

# ---
# NotFiniteError: the result of divide is nan, in divide_by_count.py, line 8:
#     loss = (losses * weights).sum() / weights.sum()
#   its result is a single number, shape ()
#   there its numerator is 0, made by sum in divide_by_count.py, line 8
#   there its denominator is 0, made by sum in divide_by_count.py, line 8
#   likely cause: 0 / 0 is not a number.
#   what to do: add a small number to the denominator, or keep it away from 0.
