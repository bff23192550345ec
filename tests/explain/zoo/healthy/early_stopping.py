"""Stop where the validation loss has not fallen for some epochs, and go back to the best weights."""

import numpy as np

from micrograd_plus import (
    Adam,
    BCEWithLogitsLoss,
    DataLoader,
    Dropout,
    Linear,
    ReLU,
    Sequential,
    evaluate,
    set_seed,
    train_epoch,
    train_test_split,
)

set_seed(0)
X = np.random.randn(400, 2).astype(np.float32)
y = (np.hypot(X[:, 0], X[:, 1]) + 0.2 * np.random.randn(400) > 1.2).astype(np.float32).reshape(-1, 1)
X_train, X_val, y_train, y_val = train_test_split(X, y)
model = Sequential(Linear(2, 32), ReLU(), Dropout(0.1), Linear(32, 1))
optimizer, loss_fn = Adam(model.parameters(), lr=0.01), BCEWithLogitsLoss()
best, best_state, waited = np.inf, None, 0
for epoch in range(60):
    train_epoch(model, DataLoader(X_train, y_train, 32), loss_fn, optimizer)
    validation, _ = evaluate(model, DataLoader(X_val, y_val, 80, shuffle=False), loss_fn)
    if validation < best:
        best, best_state, waited = validation, model.state_dict(), 0
    else:
        waited += 1
    if waited == 5:
        break
model.load_state_dict(best_state)
print(f"epoch {epoch}: best validation loss {best:.3f}")
