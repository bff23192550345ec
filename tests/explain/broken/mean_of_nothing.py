import numpy as np

from micrograd_plus import Tensor, debug

debug()
errors = Tensor([0.2, 0.1, 0.4], requires_grad=True)
labels = np.array([0, 0, 1])
for label in range(3):
    loss = errors[labels == label].mean()
    loss.backward()

# ---
# NotFiniteError: the result of mean is nan, in mean_of_nothing.py, line 9:
#     loss = errors[labels == label].mean()
#   its result is a single number, shape ()
#   likely cause: the mean of no elements is not a number: the input has shape (0,).
#   what to do: check what was selected.
