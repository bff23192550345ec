from micrograd_plus import Linear, Module, debug, randn

debug()


class Net(Module):
    def __init__(self):
        self.first = Linear(6, 12)
        self.mix = randn(6, 12, requires_grad=True)

    def forward(self, x):
        h = self.first(x).relu()
        return h @ self.mix


net = Net()
net(randn(4, 6))

# ---
# ValueError: matmul: the last axis of the left operand must be as long as the second to last of the right, or its only
#   one; got shapes (4, 12) and (6, 12). Transpose or reshape one of them.
#   the input of shape (4, 12) was made in shapes_in_a_module.py, line 12
#   the input of shape (6, 12) was made in shapes_in_a_module.py, line 9
