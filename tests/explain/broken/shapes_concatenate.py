from micrograd_plus import concatenate, debug, zeros

with debug():
    state = zeros(32, 64)
    action = zeros(16, 4)
    both = concatenate([state, action], axis=1)

# ---
# ValueError: concatenate: all the input array dimensions except for the concatenation axis must match exactly, but
#   along dimension 0, the array at index 0 has size 32 and the array at index 1 has size 16 (input shapes (32, 64) and
#   (16, 4))
#   the input of shape (32, 64) was made in shapes_concatenate.py, line 4
#   the input of shape (16, 4) was made in shapes_concatenate.py, line 5
