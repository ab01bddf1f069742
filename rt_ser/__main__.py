"""``python -m rt_ser`` is ``rt-ser``."""

from __future__ import annotations

import sys

from rt_ser.cli import main

if __name__ == "__main__":
    sys.exit(main())
