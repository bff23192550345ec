"""A small network learns from the softened answers of a large one, which stays as it is."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, Tensor, no_grad, set_seed, train_epoch
from micrograd_plus.data import load_digits
from micrograd_plus.losses import kl_div

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels
teacher = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
for _ in range(4):
    train_epoch(teacher, DataLoader(X, y, 64), CrossEntropyLoss(), Adam(teacher.parameters(), lr=0.005))
teacher.eval()

student = Sequential(Linear(64, 12), ReLU(), Linear(12, 10))
optimizer = Adam(student.parameters(), lr=0.01)
T = 3.0
for epoch in range(4):
    for rows in np.array_split(np.random.permutation(len(X)), 23):
        with no_grad():
            soft = (teacher(Tensor(X[rows])) / T).softmax()
        optimizer.zero_grad()
        loss = kl_div((student(Tensor(X[rows])) / T).log_softmax(), soft, reduction="batchmean") * T**2
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
