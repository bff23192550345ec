import numpy as np

from micrograd_plus import Tensor, debug

debug()
x = Tensor(np.arange(10.0))
w = Tensor(0.0, requires_grad=True)
for step in range(1000):
    w.zero_grad()
    loss = ((x * w - 3 * x) ** 2).mean()
    loss.backward()
    w.data -= 0.5 * w.grad

# ---
# NotFiniteError: the result of power is inf, in learning_rate_by_hand.py, line 10:
#     loss = ((x * w - 3 * x) ** 2).mean()
#   its result, shape (10,): at [2] first, and at 7 more of 10 places
#   there its base is ..., made by subtract in learning_rate_by_hand.py, line 10
#   there its exponent is 2
#   likely cause: a learning rate that is too high. `w` has grown from 0 to 1.54e+19.
#   here: ... ** 2 is larger than float32 can hold, 3.4e+38.
#   what to do: try a tenth of the learning rate, or limit the gradients by clip_grad_norm().
