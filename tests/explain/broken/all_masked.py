import numpy as np

from micrograd_plus import debug, randn, where

debug()
scores = randn(2, 3, 5, requires_grad=True)
lengths = np.array([5, 0])
padding = np.arange(5) >= lengths[:, None, None]
attention = where(padding, -np.inf, scores).softmax(axis=-1)

# ---
# NotFiniteError: the result of softmax is nan, in all_masked.py, line 9:
#     attention = where(padding, -np.inf, scores).softmax(axis=-1)
#   its result, shape (2, 3, 5): at [1, 0, 0] first, and at 14 more of 30 places
#   its input, shape (2, 3, 5), holds values from -inf to 1.304, made by where in all_masked.py, line 9
#   likely cause: all elements that it is taken over are -inf, so there is nothing to choose from.
#   what to do: a mask hides all of them; leave at least one, or mask with a large negative number such as -1e9.
