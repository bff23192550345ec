collect_ignore = ["compiled.py", "operations.py", "programs.py"]  # they have no doctests, and import PyTorch
