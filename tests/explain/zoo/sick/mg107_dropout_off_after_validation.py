"""A wide network on few, noisy examples: dropout is to keep it from learning them by heart."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Dropout, Linear, ReLU, Sequential, Tensor, no_grad, set_seed

set_seed(0)
rng = np.random.default_rng(8)
X = rng.normal(size=(560, 20)).astype(np.float32)
y = (X[:, 0] + 0.7 * X[:, 1] * X[:, 2] + 0.8 * rng.normal(size=560) > 0).astype(np.float32).reshape(-1, 1)
X_train, y_train, X_val, y_val = X[:160], y[:160], X[160:], y[160:]

model = Sequential(Linear(20, 128), ReLU(), Dropout(0.5), Linear(128, 128), ReLU(), Dropout(0.5), Linear(128, 1))
loss_fn = BCEWithLogitsLoss()
optimizer = Adam(model.parameters(), lr=0.002)


def validate():
    model.eval()
    with no_grad():
        return loss_fn(model(Tensor(X_val)), y_val).item()


for epoch in range(60):
    order = rng.permutation(160)
    for i in range(0, 160, 40):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X_train[order[i : i + 40]])), y_train[order[i : i + 40]])
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch}: validation loss {validate():.3f}")
print("negative validation loss:", -validate())
