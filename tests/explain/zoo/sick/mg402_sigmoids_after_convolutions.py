"""A deep CNN for digits, with the sigmoids of the first ones."""

import numpy as np

from micrograd_plus import Adam, Conv2d, CrossEntropyLoss, Linear, MaxPool2d, Module, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()


class DeepCNN(Module):
    def __init__(self):
        self.convolutions = [Conv2d(1 if i == 0 else 8, 8, 3, padding=1) for i in range(6)]
        self.pool = MaxPool2d(2)
        self.hidden, self.out = Linear(128, 32), Linear(32, 10)

    def activation(self, x):
        return x.sigmoid()

    def forward(self, x):
        for convolution in self.convolutions:
            x = self.activation(convolution(x))
        x = self.pool(x).flatten().reshape(len(x), -1)
        return self.out(self.activation(self.hidden(x)))


model = DeepCNN()
optimizer = Adam(model.parameters(), lr=0.002)
loss_fn = CrossEntropyLoss()
for step in range(120):
    rows = np.random.randint(0, 1442, 48)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(digits.train_images[rows, None])), digits.train_labels[rows])
    loss.backward()
    optimizer.step()
predicted = model(Tensor(digits.test_images[:, None])).data.argmax(1)
print("accuracy:", (predicted == digits.test_labels).mean())
