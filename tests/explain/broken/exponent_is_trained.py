from micrograd_plus import Tensor, debug

debug()
x = Tensor([1.0, -2.0, 3.0])
exponent = Tensor(2.0, requires_grad=True)
loss = (x**exponent).sum()
loss.backward()

# ---
# NotFiniteError: the gradient of power is nan, in exponent_is_trained.py, line 6:
#     loss = (x**exponent).sum()
#   the gradient with respect to its exponent, shape (3,): at [1] alone
#   there its base is -2, made in exponent_is_trained.py, line 4
#   there its exponent is 2, made in exponent_is_trained.py, line 5
#   the gradient that arrives there is 1
#   likely cause: the derivative with respect to the exponent is x ** y * log(x), and the base is negative, -2.
#   what to do: give the exponent as a number, or as a tensor that requires no gradient.
