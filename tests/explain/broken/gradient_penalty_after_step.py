from micrograd_plus import SGD, Linear, Sequential, Tanh, debug, gradients, randn

debug()
critic = Sequential(Linear(3, 8), Tanh(), Linear(8, 1))
optimizer = SGD(critic.parameters(), lr=0.1)
x = randn(5, 3, requires_grad=True)
score = critic(x).sum()
score.backward(retain_graph=True)
optimizer.step()
(slope,) = gradients(score, [x], create_graph=True)
penalty = ((slope**2).sum(axis=1) - 1) ** 2
penalty.mean().backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when affine (x @ weight + bias) was computed, but it has been
#   changed in place since
#   the array: the weight of affine (x @ weight + bias), shape (8, 1), made in gradient_penalty_after_step.py, line 4:
#     critic = Sequential(Linear(3, 8), Tanh(), Linear(8, 1))
#   its memory is that of layers.2.weight of critic
#   needed by: affine (x @ weight + bias) in gradient_penalty_after_step.py, line 7, in layers.2 of Sequential:
#     score = critic(x).sum()
#   last changed by: gradient_penalty_after_step.py, line 9:
#     optimizer.step()
#   what to do: call backward() before the update, or compute the loss anew after it.
