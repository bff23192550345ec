"""Three kinds of flowers (made-up measurements), numbered as in the table they came from."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, normalize, set_seed

set_seed(0)
centres = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
kind = np.random.randint(1, 4, 150)
X, _, _ = normalize(centres[kind - 1] + 0.3 * np.random.randn(150, 4))

model = Sequential(Linear(4, 16), ReLU(), Linear(16, 3))
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = CrossEntropyLoss()
for epoch in range(60):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), kind)
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
