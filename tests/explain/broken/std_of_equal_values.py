from micrograd_plus import Tensor, debug

debug()
h = Tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]], requires_grad=True)
spread = h.std(axis=1)
loss = (spread - 1).abs().sum()
loss.backward()

# ---
# NotFiniteError: the gradient of sqrt is -inf, in std_of_equal_values.py, line 5:
#     spread = h.std(axis=1)
#   the gradient with respect to its input, shape (2,): at [0] alone
#   there its input is 0, made by mean in std_of_equal_values.py, line 5
#   the gradient that arrives there is -1
#   likely cause: the standard deviation of equal values has an infinite derivative: that of sqrt at 0.
#   what to do: add a small number under the root: (x.var() + 1e-5).sqrt().
