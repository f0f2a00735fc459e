"""`python -m campaignd`: the same as the installed command."""

import sys

from campaignd.cli import main

if __name__ == "__main__":
    sys.exit(main())
