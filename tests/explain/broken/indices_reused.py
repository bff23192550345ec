import numpy as np

from micrograd_plus import Embedding, debug

debug()
embedding = Embedding(50, 8)
tokens = np.array([3, 7, 7, 20])
vectors = embedding(tokens)
tokens += 1  # the next words
loss = (vectors * vectors).sum()
loss.backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when take_rows was computed, but it has been changed in place
#   since
#   the array: `flat` of take_rows, shape (4,)
#   its memory is that of `tokens`
#   needed by: take_rows in indices_reused.py, line 8, in Embedding:
#     vectors = embedding(tokens)
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in indices_reused.py, line 9:
#     tokens += 1  # the next words
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
