collect_ignore_glob = ["*.py"]  # programs that fail, which test_debug_broken.py runs
