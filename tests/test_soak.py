"""Ten simulated hours with faults at random: nothing grows, nothing is unaccounted for."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOURS = 10.0
SEED = int(os.environ.get("RT_SER_SEED", random.SystemRandom().randrange(2**31)))

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def test_ten_hours_leave_nothing_behind() -> None:
    """A process of its own, so that its memory is that of the stream and of nothing else."""
    print(f"RT_SER_SEED={SEED} repeats it")
    done = subprocess.run(
        [sys.executable, "-W", "error", "tests/soak.py", f"--hours={HOURS}", f"--seed={SEED}"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=280,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["hours"] >= HOURS
    assert found["growth_mib"] < 2.0
    assert found["longest_queue"] <= 64
    assert found["unbalanced"] == found["unaccounted"] == 0
    assert len(found["faults"]) == 5
    assert found["utterances"] > 50
    assert found["reopened"] > 50
    assert found["muted_h"] > 0.1
    assert done.returncode == 0
