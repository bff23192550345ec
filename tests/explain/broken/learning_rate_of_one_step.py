from micrograd_plus import SGD, Tensor, debug

with debug():
    w = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = SGD([w], lr=1e39)
    (w * w).sum().backward()
    optimizer.step()

# ---
# NotFiniteError: an update of SGD has made a parameter -inf, in learning_rate_of_one_step.py, line 7:
#     optimizer.step()
#   `w`, shape (2,): at [0] and everywhere else
#   its gradient is at most 4 in size
#   likely cause: a learning rate that is too high, lr = 1e+39.
#   what to do: try a tenth of it, or limit the gradients by clip_grad_norm().
