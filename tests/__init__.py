"""The tests. They start servers from wheels as the notebooks do, whose folder is no package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "notebooks"))
