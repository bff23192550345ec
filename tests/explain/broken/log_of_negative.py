from micrograd_plus import Linear, Tensor, debug, set_seed

set_seed(0)
debug()
sizes = Tensor([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
model = Linear(2, 1)
log_price = (model(sizes) - 10).log()

# ---
# NotFiniteError: the result of log is nan, in log_of_negative.py, line 7:
#     log_price = (model(sizes) - 10).log()
#   its result, shape (3, 1): at [0, 0] and everywhere else
#   there its input is ..., made by subtract in log_of_negative.py, line 7
#   likely cause: the logarithm of ... is not a number: it is negative.
#   what to do: keep its argument above 0: (x + 1e-8).log(), or in a branch of where(): where(x > 0, x, 1).log().
