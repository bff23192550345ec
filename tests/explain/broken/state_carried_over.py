from micrograd_plus import SGD, Linear, RNNCell, debug, randn, zeros

debug()
cell, head = RNNCell(3, 8), Linear(8, 1)
optimizer = SGD([*cell.parameters(), *head.parameters()], lr=0.01)
state = zeros(4, 8)
for step in range(10):
    state = cell(randn(4, 3), state)  # .detach() is missing
    loss = (head(state) ** 2).mean()
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()

# ---
# ChangedInPlaceError: backward() needs an array as it was when affine (x @ weight + bias) was computed, but it has been
#   changed in place since
#   the array: the weight of affine (x @ weight + bias), shape (8, 8), made in state_carried_over.py, line 4:
#     cell, head = RNNCell(3, 8), Linear(8, 1)
#   its memory is that of weight_hh of cell
#   needed by: affine (x @ weight + bias) in state_carried_over.py, line 8, in RNNCell:
#     state = cell(randn(4, 3), state)  # .detach() is missing
#   last changed by: state_carried_over.py, line 12:
#     optimizer.step()
#   what to do: call backward() before the update, or compute the loss anew after it.
