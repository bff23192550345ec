import numpy as np

from micrograd_plus import Adam, Linear, ReLU, Sequential, Tensor, debug

debug()
model = Sequential(Linear(2, 4), ReLU(), Linear(4, 1))
model[0].bias.data[:] = -100.0  # all units are dead
optimizer = Adam(model.parameters())
model(Tensor([[1.0, 1.0]])).sum().backward()
for p in model.parameters():
    p.grad = p.grad / np.sqrt((p.grad**2).sum())
optimizer.step()

# ---
# NotFiniteError: Adam got a gradient that is not finite, in clipping_by_hand.py, line 12:
#     optimizer.step()
#   .grad of layers.0.weight of model holds nan, shape (2, 4): at [0, 0] and everywhere else
#   likely cause: backward() under debug() makes no such gradient, so it was written since, or was made while debug()
#     was off.
#   what to do: look at what writes into .grad before step(). A division by a norm of 0, for instance, gives nan.
