import numpy as np

from micrograd_plus import debug, randn

debug()
x, w = randn(4, 6), randn(6, 6, requires_grad=True)
h = (x @ w).tanh()
mask = np.random.rand(4, 6) > 0.5
h.data *= mask
loss = h.sum()
loss.backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when tanh was computed, but it has been changed in place
#   since
#   the array: the result of tanh, shape (4, 6), made in dropout_by_hand.py, line 7:
#     h = (x @ w).tanh()
#   its memory is that of `h`
#   needed by: tanh in dropout_by_hand.py, line 7:
#     h = (x @ w).tanh()
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in dropout_by_hand.py, line
#     9:
#     h.data *= mask
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
