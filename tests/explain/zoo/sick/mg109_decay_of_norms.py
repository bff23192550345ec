"""Sums of sequences by a small network with layer norm, strongly regularised."""

import numpy as np

from micrograd_plus import AdamW, LayerNorm, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.randn(512, 10).astype(np.float32)
y = X[:, :5].sum(axis=1, keepdims=True) * np.float32(0.45)
model = Sequential(Linear(10, 32), LayerNorm(32), ReLU(), Linear(32, 32), LayerNorm(32), ReLU(), Linear(32, 1))
optimizer = AdamW(model.parameters(), lr=0.01, weight_decay=2.0)
loss_fn = MSELoss()
for step in range(200):
    batch = np.random.randint(0, 512, 64)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X[batch])), y[batch])
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())
print("loss:", loss_fn(model(Tensor(X)), y).item())
