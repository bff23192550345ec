from micrograd_plus import arange, debug

debug()
x = arange(-2.0, 3.0, requires_grad=True)
loss = (x**1.5).sum()

# ---
# NotFiniteError: the result of power is nan, in power_of_negative.py, line 5:
#     loss = (x**1.5).sum()
#   its result, shape (5,): at [0] first, and at 1 more of 5 places
#   there its base is -2, made in power_of_negative.py, line 4
#   there its exponent is 1.5
#   likely cause: a negative number, -2, has no real power 1.5.
#   what to do: keep the base at 0 or above.
