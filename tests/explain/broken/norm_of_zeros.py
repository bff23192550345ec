from micrograd_plus import Tensor, debug

debug()
a = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
b = Tensor([[1.0, 2.0], [0.0, 0.0]])
distance = ((a - b) ** 2).sum(axis=1).sqrt()
distance.mean().backward()

# ---
# NotFiniteError: the gradient of sqrt is inf, in norm_of_zeros.py, line 6:
#     distance = ((a - b) ** 2).sum(axis=1).sqrt()
#   the gradient with respect to its input, shape (2,): at [0] alone
#   there its input is 0, made by sum in norm_of_zeros.py, line 6
#   the gradient that arrives there is 0.5
#   likely cause: the norm of a vector of zeros has an infinite derivative: that of sqrt at 0.
#   what to do: use norm(x), whose gradient there is 0, or add a small number under the root: ((x * x).sum() +
#     1e-12).sqrt().
