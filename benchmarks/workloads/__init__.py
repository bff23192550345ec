"""The training steps that are compared: what they compute, in `problems`, and one module for each library that computes it."""
