"""The recording that ships with the package, for a first look and for the tests.

Its voices are synthetic (espeak-ng): it shows that the machinery works, never how
accurate a model is. ``docs/make_demo_recording.py`` makes both files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

DEMO_RECORDING: Final = Path(__file__).with_name("demo.flac")
"""About twenty seconds of speech, silence, noise and a tone, 16 kHz mono."""

DEMO_CUES: Final = Path(__file__).with_name("demo.yaml")
"""Its cue sheet: what lies where, in samples."""
