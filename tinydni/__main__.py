"""`python -m tinydni` is the command `tinydni`."""

import sys

from tinydni.lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
