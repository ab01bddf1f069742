"""What ships with the package besides code: a recording, and the schema of events.

The voices of the recording are synthetic (espeak-ng): it shows that the machinery works,
never how accurate a model is. ``docs/make_demo_recording.py`` makes it and its cue sheet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

DEMO_RECORDING: Final = Path(__file__).with_name("demo.flac")
"""About twenty seconds of speech, silence, noise and a tone, 16 kHz mono."""

DEMO_CUES: Final = Path(__file__).with_name("demo.yaml")
"""Its cue sheet: what lies where, in samples."""

EVENT_SCHEMA: Final = Path(__file__).with_name("events.schema.json")
"""JSON Schema of one event; ``docs/make_event_reference.py`` makes it."""
