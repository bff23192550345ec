import numpy as np

from micrograd_plus import SGD, DataLoader, Linear, MSELoss, debug

X = np.random.randn(64, 3)
y = X.sum(axis=1)

debug()
model, loss_fn = Linear(3, 1), MSELoss()
optimizer = SGD(model.parameters(), lr=0.1)
for inputs, targets in DataLoader(X, y, batch_size=16):
    optimizer.zero_grad()
    loss = loss_fn(model(inputs), targets)
    loss.backward()
    optimizer.step()

# ---
# ValueError: predictions and targets must have the same shape, got (16, 1) and (16,). Reshape one, for instance
#   targets.reshape(-1, 1): broadcasting would compare every prediction with every target.
#   the input of shape (16, 1) was made in shapes_targets.py, line 13, in Linear
#   the input of shape (16,) is the array `targets`, assigned in shapes_targets.py, line 11
