"""An autoencoder whose pixels are probabilities: Sigmoid and BCELoss."""

from micrograd_plus import Adam, BCELoss, Linear, Module, ReLU, Sequential, Sigmoid, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
images = load_digits().train_images.reshape(-1, 64)


class Autoencoder(Module):
    def __init__(self):
        self.encoder = Sequential(Linear(64, 32), ReLU(), Linear(32, 8))
        self.decoder = Sequential(Linear(8, 32), ReLU(), Linear(32, 64), Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


model = Autoencoder()
optimizer = Adam(model.parameters(), lr=0.005)
criterion = BCELoss()
for epoch in range(6):
    for x, target in DataLoader(images, images, batch_size=64):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(x)), target)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
