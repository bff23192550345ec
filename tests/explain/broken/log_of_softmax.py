import numpy as np

from micrograd_plus import Tensor, debug

debug()
logits = Tensor([[200.0, 0.0, -50.0], [1.0, 2.0, 3.0]], requires_grad=True)
labels = np.array([1, 2])

exps = logits.softmax()
loss = -exps.log()[np.arange(2), labels].mean()

# ---
# NotFiniteError: the result of log is -inf, in log_of_softmax.py, line 10:
#     loss = -exps.log()[np.arange(2), labels].mean()
#   its result, shape (2, 3): at [0, 1] first, and at 1 more of 6 places
#   there its input is 0, made by softmax in log_of_softmax.py, line 9
#   likely cause: the logarithm of 0 is -inf.
#   what to do: softmax has rounded a probability to 0 or 1. Use log_softmax() of the logits in place of both, or
#     CrossEntropyLoss, which takes logits.
