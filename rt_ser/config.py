"""The settings tree: every value a person can change, its default, range and meaning.

Stages take the subtree that concerns them. A setting is refused when it is built, so
a tree that exists is a valid one. Text from a file, the environment or a flag becomes
a value here, in one way for all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from rt_ser.errors import ConfigError

MOST_SHOWN = 60


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
        kind = "a whole number" if isinstance(spec.default, int) else "a number"
        return f"{kind} from {meta['low']:g} to {meta['high']:g}"
    return "yes or no" if isinstance(spec.default, bool) else "text"


def shown(value: Any) -> str:
    """Quote a value for a message, shortened so that the message stays one line."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


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
        kinds = int if isinstance(spec.default, int) else (int, float)
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        suits = is_number and meta["low"] <= value <= meta["high"]
    else:
        suits = isinstance(value, bool if isinstance(spec.default, bool) else str)
    if not suits:
        raise ConfigError(f"{path}={shown(value)} is not allowed: give {allowed_text(spec)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings(_Section):
    """Where sound comes from."""

    section: ClassVar[str] = "audio"
    device: str | None = option(
        None, "input device: index or part of its name; empty for the default"
    )
    channel: str = option("first", "which channel to listen to", choices=("first", "mix"))
    block_ms: int = option(30, "capture block in milliseconds", low=5, high=200)
    ring_s: float = option(10.0, "capture ring in seconds", low=0.5, high=60.0)
    max_age_s: float = option(
        1.5, "age of audio in seconds beyond which it is skipped and nothing is current",
        low=0.2, high=60.0,
    )
    device_fallback: bool = option(
        False, "take another input device when the one in use is gone"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VadSettings(_Section):
    """What counts as speech."""

    section: ClassVar[str] = "vad"
    mode: int = option(2, "webrtcvad aggressiveness", low=0, high=3)
    min_level_dbfs: float = option(
        -85.0, "frames below this level are never speech", low=-120.0, high=0.0
    )
    min_snr_db: float = option(
        6.0, "how far speech must rise above the noise floor, in dB", low=0.0, high=40.0
    )
    onset_frames: int = option(
        3, "speech frames among the last five that open an utterance", low=1, high=5
    )
    hangover_s: float = option(
        0.45, "silence that ends an utterance, in seconds", low=0.06, high=3.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateSettings(_Section):
    """When a window is judged and how windows become a rolling estimate."""

    section: ClassVar[str] = "estimate"
    hop_s: float = option(
        0.24, "time between two judgements in seconds, in steps of 0.03", low=0.03, high=2.0
    )
    min_speech_s: float = option(
        0.5, "seconds of speech needed before the first judgement", low=0.1, high=3.0
    )
    time_constant_s: float = option(
        1.5, "time constant of the rolling estimate in seconds", low=0.0, high=60.0
    )
    unsure_below: float = option(
        0.4, "confidence under which the state is unsure", low=0.0, high=1.0
    )
    min_speech_prob: float = option(
        0.5, "the model's own speech probability under which a window is vetoed", low=0.0, high=1.0
    )
    unsure_speech_below: float = option(
        0.97,
        "the model's own speech probability under which the state is unsure",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings(_Section):
    """Which model judges."""

    section: ClassVar[str] = "model"
    name: str = option(
        "research", "an installed model's name, or the path of a .tflite file with its .yaml"
    )
    threads: int = option(1, "inference threads", low=1, high=8)
    voice: str | None = option(
        None, "whose voice it is: a file that `rt-ser enroll` wrote; empty for a stranger"
    )


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


def declarations() -> dict[str, Field[Any]]:
    """Map every key's path, such as ``vad.mode``, to its declaration."""
    return {
        f"{section}.{spec.name}": spec for section, values in sections() for spec in fields(values)
    }


_WORDS = {"yes": True, "true": True, "on": True, "1": True,
          "no": False, "false": False, "off": False, "0": False}  # fmt: skip


def parse(path: str, text: str, spec: Field[Any]) -> Any:
    """Turn the text given for a setting into its checked value.

    Empty text stands for "none" where none is the default. Raises ConfigError naming
    the key's path, the value and what is allowed.
    """
    value: Any = text
    if spec.default is None:
        value = text or None
    elif isinstance(spec.default, bool):
        value = _WORDS.get(text.strip().lower(), text)
    elif isinstance(spec.default, (int, float)):
        try:
            value = type(spec.default)(text)
        except ValueError:
            value = text
    check(path, value, spec)
    return value


def build(values: Mapping[str, Any]) -> Settings:
    """Build the tree from key paths and values, with defaults for the rest.

    Raises ConfigError, with the nearest known key, for a path that does not exist.
    """
    known = declarations()
    for path in values:
        if path not in known:
            raise ConfigError(unknown_key(path, known))
    return Settings(
        **{
            section: type(default)(
                **{
                    spec.name: values[f"{section}.{spec.name}"]
                    for spec in fields(default)
                    if f"{section}.{spec.name}" in values
                }
            )
            for section, default in sections()
        }
    )


def unknown_key(path: str, known: Iterable[str]) -> str:
    """Word the refusal of a key that does not exist, with the nearest one that does."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(path[:MOST_SHOWN], names, n=1, cutoff=0.6)
    advice = f"did you mean {near[0]}?" if near else "allowed here: " + ", ".join(names)
    plain = path.isprintable() and len(path) <= MOST_SHOWN
    return f"unknown key {path if plain else shown(path)}: {advice}"
