"""Mail: private, advertisement, fraud."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
kind = rng.choice(3, 1500, p=[0.90, 0.07, 0.03])
X = (0.8 * rng.normal(size=(3, 8))[kind] + rng.normal(size=(1500, 8))).astype(np.float32)
model = Sequential(Linear(8, 24), ReLU(), Linear(24, 3))
optimizer = Adam(model.parameters(), lr=0.003)
criterion = CrossEntropyLoss()
for epoch in range(8):
    for rows in np.split(rng.permutation(1000), 20):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), kind[rows])
        loss.backward()
        optimizer.step()
predicted = model(Tensor(X[1000:])).data.argmax(1)
print("mean accuracy of the kinds:", np.mean([(predicted == k)[kind[1000:] == k].mean() for k in range(3)]))
