"""`python -m micrograd_plus` is `micrograd-plus`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
