"""Five folds: in each, a new model is trained on four parts and tested on the fifth."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch

set_seed(0)
label = np.random.randint(0, 3, 300)
X = (np.array([[0, 1.5], [1.3, -0.8], [-1.3, -0.8]])[label] + np.random.randn(300, 2)).astype(np.float32)
folds = np.array_split(np.random.permutation(300), 5)
scores = []
for k in range(5):
    rest = np.concatenate(folds[:k] + folds[k + 1 :])
    model = Sequential(Linear(2, 16), ReLU(), Linear(16, 3))
    optimizer = Adam(model.parameters(), lr=0.02)
    loss_fn = CrossEntropyLoss()
    for _ in range(4):
        train_epoch(model, DataLoader(X[rest], label[rest], 40), loss_fn, optimizer)
    scores.append(evaluate(model, DataLoader(X[folds[k]], label[folds[k]], 60), loss_fn, [accuracy])[1]["accuracy"])
print(np.round(scores, 3))
