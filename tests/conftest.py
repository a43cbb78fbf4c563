"""What all tests share."""

from __future__ import annotations

import os

# 32-dim models gain nothing from threads, and tests run side by side
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["GOMP_SPINCOUNT"] = "0"
