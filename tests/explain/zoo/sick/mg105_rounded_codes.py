"""An autoencoder whose code is whole numbers: they are rounded."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, MSELoss, Sequential, SiLU, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
images = load_digits().train_images.reshape(-1, 64)


class WholeNumbers(Module):
    def __init__(self):
        self.encoder = Sequential(Linear(64, 48), SiLU(), Linear(48, 8))
        self.decoder = Sequential(Linear(8, 48), SiLU(), Linear(48, 64))

    def forward(self, x):
        code = 4 * self.encoder(x).tanh()
        code = Tensor(np.round(code.data))
        return self.decoder(code / 4)


model = WholeNumbers()
optimizer = Adam(model.parameters(), lr=0.005)
mse = MSELoss()
for epoch in range(8):
    for x, target in DataLoader(images, images, batch_size=64):
        optimizer.zero_grad()
        loss = mse(model(Tensor(x)), target)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
