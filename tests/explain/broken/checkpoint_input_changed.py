import numpy as np

from micrograd_plus import Linear, ReLU, Sequential, checkpoint, debug, from_numpy

debug()
block = Sequential(Linear(4, 16), ReLU(), Linear(16, 1))
frame = np.ones((2, 4), np.float32)
y = checkpoint(block, from_numpy(frame))
frame[:] = 0.0
y.sum().backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when checkpoint was computed, but it has been changed in
#   place since
#   the array: an array that checkpoint was given, shape (2, 4)
#   its memory is that of `frame`
#   needed by: checkpoint in checkpoint_input_changed.py, line 8:
#     y = checkpoint(block, from_numpy(frame))
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in
#     checkpoint_input_changed.py, line 9:
#     frame[:] = 0.0
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
