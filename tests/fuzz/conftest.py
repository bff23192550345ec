collect_ignore = ["operations.py", "programs.py"]  # they have no doctests, and import PyTorch
