"""Go on from a head that was trained on other classes: its biases are kept."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, set_seed, train_epoch

set_seed(0)
rng = np.random.default_rng(0)
centres = rng.normal(size=(6, 10)) * 1.2
labels = rng.integers(0, 6, 600)
X = (centres[labels] + rng.normal(size=(600, 10))).astype(np.float32)

model = Sequential(Linear(10, 32), ReLU(), Linear(32, 6))
model[-1].bias.data[:] = [42.0, -17.0, 3.0, 25.0, -31.0, 8.0]
optimizer = SGD(model.parameters(), lr=0.05)
loader = DataLoader(X, labels, batch_size=50)
for epoch in range(10):
    loss = train_epoch(model, loader, CrossEntropyLoss(), optimizer)
    print(epoch, round(loss, 3))
print("loss:", loss)
