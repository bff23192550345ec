"""An autoencoder: digits through eight numbers."""

from micrograd_plus import Adam, Linear, Module, MSELoss, ReLU, Sequential, Sigmoid, Tensor, no_grad, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
train = digits.train_images.reshape(-1, 64)
test = digits.test_images.reshape(-1, 64)


class Autoencoder(Module):
    def __init__(self, code=8):
        self.encoder = Sequential(Linear(64, 48), ReLU(), Linear(48, code))
        self.decoder = Sequential(Linear(code, 48), ReLU(), Linear(48, 64), Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


model = Autoencoder()
optimizer = Adam(model.encoder.parameters(), lr=0.003)
mse = MSELoss()
for epoch in range(10):
    for x, target in DataLoader(train, train, batch_size=64):
        optimizer.zero_grad()
        loss = mse(model(Tensor(x)), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: {loss.item():.4f}")
with no_grad():
    print("test error:", mse(model(Tensor(test)), test).item())
