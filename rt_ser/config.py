"""The settings tree: every value a person can change, its default, range and meaning.

Stages take the subtree that concerns them. A setting is refused when it is built, so
a tree that exists is a valid one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from rt_ser.errors import ConfigError


def option(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Declare a setting: its default, meaning and allowed range or choices."""
    allowed = {"doc": doc, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=allowed)


def allowed_text(spec: Field[Any]) -> str:
    """Say in words which values a setting may take."""
    meta = spec.metadata
    if meta["choices"] is not None:
        return "one of " + ", ".join(str(choice) for choice in meta["choices"])
    if meta["low"] is not None:
        return f"{meta['low']:g} to {meta['high']:g}"
    return "yes or no" if isinstance(spec.default, bool) else "text"


class _Section:
    """A group of settings that checks its own ranges."""

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for spec in fields(self):  # type: ignore[arg-type]
            check(f"{self.section}.{spec.name}", getattr(self, spec.name), spec)


def check(path: str, value: Any, spec: Field[Any]) -> None:
    """Raise ConfigError, naming the key's path, unless ``value`` suits its declaration."""
    if value is None and spec.default is None:
        return
    meta = spec.metadata
    if meta["choices"] is not None:
        suits = value in meta["choices"]
    elif meta["low"] is not None:
        whole = isinstance(spec.default, int)
        is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        suits = is_number and meta["low"] <= value <= meta["high"]
    else:
        suits = isinstance(value, bool if isinstance(spec.default, bool) else str)
    if not suits:
        raise ConfigError(f"{path}={value!r} is not allowed: give {allowed_text(spec)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings(_Section):
    """Where sound comes from."""

    section: ClassVar[str] = "audio"
    device: str | None = option(None, "input device: index or part of its name; empty for the default")
    channel: str = option("first", "which channel to listen to", choices=("first", "mix"))
    block_ms: int = option(30, "capture block in milliseconds", low=5, high=200)
    ring_s: float = option(10.0, "capture ring in seconds", low=0.5, high=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VadSettings(_Section):
    """What counts as speech."""

    section: ClassVar[str] = "vad"
    mode: int = option(2, "webrtcvad aggressiveness", low=0, high=3)
    min_level_dbfs: float = option(-65.0, "frames below this level are never speech", low=-120.0, high=0.0)
    min_snr_db: float = option(6.0, "how far speech must rise above the noise floor", low=0.0, high=40.0)
    onset_frames: int = option(3, "speech frames among the last five that open an utterance", low=1, high=5)
    hangover_s: float = option(0.45, "silence that ends an utterance, in seconds", low=0.06, high=3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateSettings(_Section):
    """When a window is judged and how windows become a rolling estimate."""

    section: ClassVar[str] = "estimate"
    hop_s: float = option(0.24, "time between two judgements in seconds, in steps of 0.03", low=0.03, high=2.0)
    min_speech_s: float = option(0.5, "speech needed before the first judgement", low=0.1, high=3.0)
    time_constant_s: float = option(1.5, "time constant of the rolling estimate in seconds", low=0.0, high=60.0)
    unsure_below: float = option(0.35, "confidence under which the state is unsure", low=0.0, high=1.0)
    min_speech_prob: float = option(0.5, "the model's own speech probability under which a window is vetoed",
                                    low=0.0, high=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings(_Section):
    """Which model judges."""

    section: ClassVar[str] = "model"
    name: str = option("research", "an installed model's name, or the path of a .tflite file with its .yaml beside it")
    threads: int = option(1, "inference threads", low=1, high=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class UiSettings(_Section):
    """How the terminal shows it."""

    section: ClassVar[str] = "ui"
    refresh_hz: float = option(10.0, "screen updates a second", low=1.0, high=30.0)
    ascii: bool = option(False, "draw with ASCII characters only")
    timeline_s: float = option(60.0, "seconds of history shown", low=10.0, high=600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole tree."""

    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    estimate: EstimateSettings = EstimateSettings()
    model: ModelSettings = ModelSettings()
    ui: UiSettings = UiSettings()


def sections(settings: type[Settings] | Settings = Settings) -> Iterable[tuple[str, Any]]:
    """Yield every section's name and its default value (or, given a tree, its value)."""
    tree = settings() if isinstance(settings, type) else settings
    for spec in fields(tree):
        value = getattr(tree, spec.name)
        if is_dataclass(value):
            yield spec.name, value
