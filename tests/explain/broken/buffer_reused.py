import numpy as np

from micrograd_plus import Linear, MSELoss, debug, from_numpy

debug()
model, loss_fn = Linear(4, 1), MSELoss()
buffer = np.zeros((10, 4), np.float32)
losses = []
for batch in range(3):
    buffer[:] = np.random.randn(10, 4)
    losses.append(loss_fn(model(from_numpy(buffer)), np.ones((10, 1))))
sum(losses).backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when affine (x @ weight + bias) was computed, but it has been
#   changed in place since
#   the array: the input of affine (x @ weight + bias), shape (10, 4), made in buffer_reused.py, line 11:
#     losses.append(loss_fn(model(from_numpy(buffer)), np.ones((10, 1))))
#   its memory is that of `buffer`
#   needed by: affine (x @ weight + bias) in buffer_reused.py, line 11, in Linear:
#     losses.append(loss_fn(model(from_numpy(buffer)), np.ones((10, 1))))
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in buffer_reused.py, line 10:
#     buffer[:] = np.random.randn(10, 4)
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
