"""`python -m tinydni` is the command `tinydni`."""

import sys

if __name__ == "__main__":
    from tinydni.lab.cli import main
    sys.exit(main())
