import numpy as np

from micrograd_plus import Tensor, debug

debug()
x = Tensor(np.ones((8, 3)))
hidden = Tensor(np.zeros((3, 16)), requires_grad=True)
out = Tensor(np.zeros((4, 1)), requires_grad=True)

h = (x @ hidden).tanh()
y = h @ out

# ---
# ValueError: matmul: the last axis of the left operand must be as long as the second to last of the right, or its only
#   one; got shapes (8, 16) and (4, 1). Transpose or reshape one of them.
#   the input of shape (8, 16) was made in shapes_matmul.py, line 10
#   the input of shape (4, 1) was made in shapes_matmul.py, line 8
