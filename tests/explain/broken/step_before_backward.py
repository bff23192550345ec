from micrograd_plus import SGD, Linear, ReLU, Sequential, debug, randn

debug()
generator = Linear(2, 3)
critic = Sequential(Linear(3, 8), ReLU(), Linear(8, 1))
g_optimizer = SGD(generator.parameters(), lr=0.01)
c_optimizer = SGD(critic.parameters(), lr=0.01)

fake = generator(randn(16, 2))
score = critic(fake)
critic_loss = score.mean()
generator_loss = -score.mean()

critic_loss.backward(retain_graph=True)
c_optimizer.step()
generator_loss.backward()
g_optimizer.step()

# ---
# ChangedInPlaceError: backward() needs an array as it was when affine (x @ weight + bias) was computed, but it has been
#   changed in place since
#   the array: the weight of affine (x @ weight + bias), shape (8, 1), made in step_before_backward.py, line 5:
#     critic = Sequential(Linear(3, 8), ReLU(), Linear(8, 1))
#   its memory is that of layers.2.weight of critic
#   needed by: affine (x @ weight + bias) in step_before_backward.py, line 10, in layers.2 of Sequential:
#     score = critic(fake)
#   last changed by: step_before_backward.py, line 15:
#     c_optimizer.step()
#   what to do: call backward() before the update, or compute the loss anew after it.
