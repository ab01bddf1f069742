"""What every test may ask for: a seeded generator, the demo recording, the corpora."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import settings

from rt_ser.data import DEMO_CUES, DEMO_RECORDING
from rt_ser.types import F32, RATE_HZ

ROOT = Path(__file__).resolve().parents[1]
SEED = 2026

# A loaded machine, or the first call of a library, is no fault of the code under test.
settings.register_profile("rt-ser", deadline=None, print_blob=True)
settings.load_profile("rt-ser")


def _corpora() -> Path | None:
    """Return the folder that holds RAVDESS/, CREMA-D/, ... or None."""
    named = os.environ.get("RT_SER_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same seed in every test."""
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout that these tests lie in."""
    return ROOT


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The speech corpora, which are never part of the project."""
    folder = _corpora()
    if folder is None:
        pytest.skip("no speech corpora: set RT_SER_DATA to the folder that holds RAVDESS/, ...")
    return folder


@pytest.fixture(scope="session")
def demo_recording() -> Path:
    """Path of the recording that ships with the package."""
    return DEMO_RECORDING


@pytest.fixture(scope="session")
def demo_samples() -> F32:
    """Its samples: mono float32 at the pipeline rate, read-only."""
    samples, rate_hz = soundfile.read(DEMO_RECORDING, dtype="float32")
    assert rate_hz == RATE_HZ
    samples.flags.writeable = False
    return samples


@pytest.fixture(scope="session")
def demo_cues() -> list[dict[str, Any]]:
    """Its cue sheet: dicts with kind, start and stop in samples, and the text spoken."""
    cues: list[dict[str, Any]] = yaml.safe_load(DEMO_CUES.read_text(encoding="utf-8"))["cues"]
    return cues


@pytest.fixture
def recording(demo_samples: F32, tmp_path: Path) -> Path:
    """The first nine seconds of the bundled recording, as 16-bit PCM."""
    path = tmp_path / "talk.wav"
    soundfile.write(path, demo_samples[:144_000], 16_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    """The TensorFlow module, or a skip that says how to get it."""
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")
