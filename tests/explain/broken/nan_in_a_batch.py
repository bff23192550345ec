import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, debug, train_epoch

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
X[137, 4] = np.nan  # a sensor failed

debug()
model = Sequential(Linear(6, 8), ReLU(), Linear(8, 2))
optimizer = SGD(model.parameters(), lr=0.1)
loader = DataLoader(X, y, batch_size=20, shuffle=False)
for epoch in range(5):
    train_epoch(model, loader, CrossEntropyLoss(), optimizer)

# ---
# NotFiniteError: affine (x @ weight + bias) got nan from its input, in nan_in_a_batch.py, line 15, in layers.0 of
#   Sequential:
#     train_epoch(model, loader, CrossEntropyLoss(), optimizer)
#   it is in row 17, column 4 of the tensor that was made in nan_in_a_batch.py, line 15, shape (20, 6)
#   that is batch 6 of the DataLoader, and row 17 is example 137 of its data (counted from 0)
#   likely cause: nan in the data. No operation on a Tensor made it: it was read so, or NumPy computed it.
#   what to do: find such rows by ~np.isfinite(data).reshape(len(data), -1).all(axis=1), and drop or mend them before
#     training.
