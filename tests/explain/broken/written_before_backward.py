from micrograd_plus import debug, randn

debug()
w = randn(3, 3, requires_grad=True)
loss = (w * w).sum()
w.data[0, 0] = 0.0  # no self-connection
loss.backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when multiply was computed, but it has been changed in place
#   since
#   the array: the left operand of multiply, shape (3, 3), made in written_before_backward.py, line 4:
#     w = randn(3, 3, requires_grad=True)
#   its memory is that of `w`
#   needed by: multiply in written_before_backward.py, line 5:
#     loss = (w * w).sum()
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in
#     written_before_backward.py, line 6:
#     w.data[0, 0] = 0.0  # no self-connection
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
