from micrograd_plus import Tensor, debug, gradients

debug()
x = Tensor([1.0, 0.0], requires_grad=True)
y = (x * x * x).sqrt()
(slope,) = gradients(y, [x], gradient=[1.0, 1.0], create_graph=True)

# ---
# NotFiniteError: the gradient of sqrt is inf, in second_derivative_of_sqrt.py, line 5:
#     y = (x * x * x).sqrt()
#   the gradient with respect to its input, shape (2,): at [1] alone
#   there its input is 0, made by multiply in second_derivative_of_sqrt.py, line 5
#   the gradient that arrives there is 1
#   likely cause: the derivative of sqrt at 0 is infinite.
#   what to do: add a small number under the root: (x + 1e-12).sqrt().
