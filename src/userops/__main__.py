"""`python -m userops` is the command `userops`."""

import sys

from userops.cli import main

sys.exit(main())
