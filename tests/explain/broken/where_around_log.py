from micrograd_plus import Tensor, debug, where

debug()
p = Tensor([0.5, 0.0, 0.5], requires_grad=True)
entropy = -where(p > 0, p * p.log(), 0.0).sum()

# ---
# NotFiniteError: the result of log is -inf, in where_around_log.py, line 5:
#     entropy = -where(p > 0, p * p.log(), 0.0).sum()
#   its result, shape (3,): at [1] alone
#   there its input is 0, made in where_around_log.py, line 4
#   likely cause: the logarithm of 0 is -inf.
#   what to do: keep its argument above 0: (x + 1e-8).log(), or in a branch of where(): where(x > 0, x, 1).log().
