import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, ReLU, Sequential, debug, set_seed

set_seed(0)
debug()
x = np.linspace(-1, 1, 64).reshape(-1, 1)
y = x**3
model = Sequential(Linear(1, 16), ReLU(), Linear(16, 1))
optimizer = SGD(model.parameters(), lr=50.0)
loss_fn = MSELoss()
for step in range(100):
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()

# ---
# NotFiniteError: the result of mean is inf, in learning_rate.py, line 14, in MSELoss:
#     loss = loss_fn(model(x), y)
#   its result is a single number, shape ()
#   its input, shape (64, 1), holds values from ... to ..., made by square in learning_rate.py, line 14, in MSELoss
#   likely cause: a learning rate that is too high. layers.2.bias of model has grown from 0 to 3.4e+18, in 8 updates by
#     SGD with lr = 50 in learning_rate.py, line 16.
#   here: the result is larger than float32 can hold, 3.4e+38.
#   what to do: try a tenth of the learning rate, or limit the gradients by clip_grad_norm().
