from micrograd_plus import Tensor, debug

debug()
x = Tensor([0.25, 0.0], requires_grad=True)
loss = (x**0.5).sum()
loss.backward()

# ---
# NotFiniteError: the gradient of power is inf, in power_half_at_zero.py, line 5:
#     loss = (x**0.5).sum()
#   the gradient with respect to its base, shape (2,): at [1] alone
#   there its base is 0, made in power_half_at_zero.py, line 4
#   there its exponent is 0.5
#   the gradient that arrives there is 1
#   likely cause: the derivative of x ** 0.5 at 0 is infinite.
#   what to do: keep the base above 0: (x + 1e-12) ** y.
