"""Which of three instruments plays? Simple waves, classified by a 1-D convolution."""

import numpy as np

from micrograd_plus import Adam, AdaptiveAvgPool1d, Conv1d, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
t = np.linspace(0, 4 * np.pi, 48)


def waves(kind, count):
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    wave = [np.sin(t + phase), np.sign(np.sin(t + phase)), np.arcsin(np.sin(t + phase)) / 1.5][kind]
    return wave + 0.1 * rng.normal(size=wave.shape)


X = np.concatenate([waves(kind, 120) for kind in range(3)])[:, None].astype(np.float32)
y = np.repeat(np.arange(3), 120)
X_test, y_test = np.concatenate([waves(kind, 40) for kind in range(3)])[:, None], np.repeat(np.arange(3), 40)

model = Sequential(Conv1d(1, 12, 7), ReLU(), Conv1d(12, 12, 5), ReLU(), AdaptiveAvgPool1d(1), Flatten(), Linear(12, 3))
loss_fn, optimizer = CrossEntropyLoss(), Adam(model.parameters(), lr=0.02)
for epoch in range(8):
    for i in range(0, len(X), 30):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[i : i + 30])), y[i : i + 30])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("accuracy:", (model(Tensor(X_test)).data.argmax(1) == y_test).mean())
