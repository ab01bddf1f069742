"""Freed memory that is kept, in a process of its own: nothing gives it back afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from train.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.full(8_000_000, 1.0)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before, kept = faults(), keep_freed_memory()
faults()
print(before, kept, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_memory_is_cleared_once_and_not_each_time() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    ).stdout.split()
    if told[1] == "False":
        pytest.skip("this C library keeps no freed memory")
    assert int(told[2]) < 100 < int(told[0])
