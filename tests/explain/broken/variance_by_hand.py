from micrograd_plus import Tensor, debug

debug()
x = Tensor([[101.4, 101.4, 101.4], [1.0, 2.0, 3.0]], requires_grad=True)
mean = x.mean(axis=1)
variance = (x * x).mean(axis=1) - mean * mean
std = variance.sqrt()

# ---
# NotFiniteError: the result of sqrt is nan, in variance_by_hand.py, line 7:
#     std = variance.sqrt()
#   its result, shape (2,): at [0] alone
#   there its input is ..., made by subtract in variance_by_hand.py, line 6
#   likely cause: the square root of a negative number, ..., is not a number.
#   what to do: keep the argument at 0 or above; where rounding makes it negative, limit it by .clip(1e-12, None).
