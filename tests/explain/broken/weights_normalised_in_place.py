import numpy as np

from micrograd_plus import Tensor, debug

debug()
w = Tensor([[3.0, 4.0], [6.0, 8.0]], requires_grad=True)
x = Tensor([[1.0, 1.0]], requires_grad=True)
y = x @ w
w.data /= np.linalg.norm(w.data)
(y * y).sum().backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when matmul was computed, but it has been changed in place
#   since
#   the array: the right operand of matmul, shape (2, 2), made in weights_normalised_in_place.py, line 6:
#     w = Tensor([[3.0, 4.0], [6.0, 8.0]], requires_grad=True)
#   its memory is that of `w`
#   needed by: matmul in weights_normalised_in_place.py, line 8:
#     y = x @ w
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in
#     weights_normalised_in_place.py, line 9:
#     w.data /= np.linalg.norm(w.data)
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
