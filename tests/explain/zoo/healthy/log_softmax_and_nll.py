"""Log-probabilities out of the model, and the loss that takes them."""

import numpy as np

from micrograd_plus import Linear, LogSoftmax, NLLLoss, RMSprop, Sequential, Tanh, Tensor, set_seed

set_seed(0)
label = np.random.randint(0, 3, 300)
r = np.random.rand(300)
angle = 2 * np.pi * label / 3 + 3 * r + 0.1 * np.random.randn(300)
X = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1) * 2
model = Sequential(Linear(2, 48), Tanh(), Linear(48, 3), LogSoftmax(axis=1))
optimizer = RMSprop(model.parameters(), lr=0.005)
loss_fn = NLLLoss()
for epoch in range(25):
    for rows in np.split(np.random.permutation(300), 6):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), label[rows])
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
