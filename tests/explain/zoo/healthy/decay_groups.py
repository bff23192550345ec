"""Weight decay on matrices, none on biases and norms; warm-up and a cosine."""

import numpy as np

from micrograd_plus import AdamW, CosineAnnealingLR, LayerNorm, Linear, LinearWarmup, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.randn(400, 8).astype(np.float32)
y = np.tanh(X[:, :1] + X[:, 1:2]) + 0.3 * X[:, 2:3]
model = Sequential(Linear(8, 32), LayerNorm(32), ReLU(), Linear(32, 32), LayerNorm(32), ReLU(), Linear(32, 1))
decayed = [p for p in model.parameters() if p.ndim > 1]
others = [p for p in model.parameters() if p.ndim < 2]
optimizer = AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=0.01)
schedule = LinearWarmup(optimizer, 40, CosineAnnealingLR(optimizer, 160))
loss_fn = MSELoss()
for step in range(200):
    rows = np.random.randint(0, 400, 40)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X[rows])), Tensor(y[rows]))
    loss.backward()
    optimizer.step()
    schedule.step()
print("loss:", loss.item())
