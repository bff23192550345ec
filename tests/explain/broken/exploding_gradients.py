from micrograd_plus import debug, randn, set_seed

set_seed(0)
debug()
h = randn(1, 20, requires_grad=True) * 1e-30
w = randn(20, 20, requires_grad=True)
for step in range(45):
    h = h @ w * 0.5
loss = (h * 1e20).sum() * 1e10
loss.backward()

# ---
# NotFiniteError: the gradient of matmul is -inf, in exploding_gradients.py, line 8:
#     h = h @ w * 0.5
#   the gradient with respect to its left operand, shape (1, 20): at [0, 2] first, and at 2 more of 20 places
#   its left operand, shape (1, 20), holds values from ... to ..., made by multiply in exploding_gradients.py, line 8
#   its right operand, shape (20, 20), holds values from ... to ..., made in exploding_gradients.py, line 6
#   the gradient that arrives there is ...
#   likely cause: the gradient is larger than float32 can hold, 3.4e+38: gradients have grown on their way back.
#   what to do: make the weights smaller at first, or normalise between layers. clip_grad_norm() comes too late for it.
