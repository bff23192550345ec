"""Two classes by a network with one output: predictions go through NumPy before the loss."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, ReLU, Sequential, Sigmoid, Tensor, set_seed

set_seed(0)
x = np.random.randn(300, 4).astype(np.float32)
y = (x[:, :1] + x[:, 1:2] > 0).astype(np.float32)
model = Sequential(Linear(4, 16), ReLU(), Linear(16, 1), Sigmoid())
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for epoch in range(100):
    predictions = model(Tensor(x)).numpy()
    out = Tensor(predictions, requires_grad=True)
    loss = loss_fn(out, Tensor(y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        print(epoch, loss.item())
print("accuracy:", float(((model(Tensor(x)).numpy() > 0.5) == y).mean()))
