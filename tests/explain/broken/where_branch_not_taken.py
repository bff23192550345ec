from micrograd_plus import Tensor, debug, where

debug()
x = Tensor([4.0, 0.0, 9.0], requires_grad=True)
root = x.sqrt()
y = where(x > 0, root, 0.0)
y.sum().backward()

# ---
# NotFiniteError: the gradient of sqrt is nan, in where_branch_not_taken.py, line 5:
#     root = x.sqrt()
#   the gradient with respect to its input, shape (3,): at [1] alone
#   there its input is 0, made in where_branch_not_taken.py, line 4
#   the gradient that arrives there is 0
#   likely cause: the derivative of sqrt at 0 is infinite; where() in where_branch_not_taken.py, line 6 does not take
#     this branch there, so the gradient that arrives is 0, and 0 * inf is not a number.
#   what to do: give the function a safe argument where its branch is not taken, with a second where() inside: where(x >
#     0, where(x > 0, x, 1).sqrt(), 0), not where(x > 0, x.sqrt(), 0).
