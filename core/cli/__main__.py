"""`python -m core.cli`, for the daemon's own children and for people without the script."""

import sys

from core.cli import main

sys.exit(main())
