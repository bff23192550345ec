"""A table with four measurements and a class in the last column."""

import numpy as np

from micrograd_plus import CrossEntropyLoss, Linear, RMSprop, Sequential, Tanh, Tensor, normalize, set_seed

set_seed(0)
label = np.random.randint(0, 3, 240)
measured = np.random.randn(240, 4) + np.eye(3)[label] @ np.random.randn(3, 4) * 2
table = np.column_stack([measured, label])
table, mean, std = normalize(table)
X, y = table[:, :4], table[:, 4]

model = Sequential(Linear(4, 20), Tanh(), Linear(20, 3))
optimizer = RMSprop(model.parameters(), lr=0.005)
criterion = CrossEntropyLoss()
for epoch in range(50):
    order = np.random.permutation(240)
    for i in range(0, 240, 48):
        rows = order[i : i + 48]
        loss = criterion(model(Tensor(X[rows])), Tensor(y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
