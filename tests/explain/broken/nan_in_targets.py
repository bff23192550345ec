import numpy as np

from micrograd_plus import DataLoader, Linear, MSELoss, debug

X = np.ones((30, 2), np.float32)
y = np.ones((30, 1), np.float32)
y[17] = np.nan

debug()
model, loss_fn = Linear(2, 1), MSELoss()
for inputs, targets in DataLoader(X, y, batch_size=10, shuffle=False):
    loss = loss_fn(model(inputs), targets)
    loss.backward()

# ---
# NotFiniteError: subtract got nan from its right operand, in nan_in_targets.py, line 12, in MSELoss:
#     loss = loss_fn(model(inputs), targets)
#   it is in row 7, column 0 of the array `targets`, assigned in nan_in_targets.py, line 11, shape (10, 1)
#   that is batch 1 of the DataLoader, and row 7 is example 17 of its data (counted from 0)
#   likely cause: nan in the data. No operation on a Tensor made it: it was read so, or NumPy computed it.
#   what to do: find such rows by ~np.isfinite(data).reshape(len(data), -1).all(axis=1), and drop or mend them before
#     training.
