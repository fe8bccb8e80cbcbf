"""The tests of all rooms find `plans.py`, the plans that they start from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
