"""A person's own voice: how a model hears them when they feel nothing in particular.

Some people sound angry or sad to a model whenever they speak. A few seconds of their
ordinary speech tell by how much, and that much is taken off every judgement: speaker
normalisation by neutral speech, after Busso et al. (2011), "Iterative feature
normalization for emotional speech detection". Nothing of the audio is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rt_ser.config import shown
from rt_ser.errors import ConfigError, InputError, ModelError, OutputError
from rt_ser.manifest import Manifest
from rt_ser.stream_events import Utterance
from rt_ser.types import F32, Prediction, freeze
from rt_ser.whole import write_text_whole
from rt_ser.yaml_file import read_mapping

LEAST_S = 2.0
"""Seconds of speech under which nothing is learnt."""

MOST_SHIFT = 0.5
"""Nats by which a class is lowered or raised at most.

Chosen by cross-validation over the folds of ``joint`` and on corpora left out whole: people
whom a model hears badly lie so far off that all of them would end up in one class.
"""

_HALF_S = 4.0
"""Seconds of speech that are believed by half; chosen as ``MOST_SHIFT`` was."""

_LEAST_PROB = 1e-4
_MAX_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVoice:
    """What one model has learnt of one person.

    ``sha256`` is the model file's; ``shift`` has a value in nats for each of its labels, from
    ``-MOST_SHIFT`` to ``MOST_SHIFT``, that is too much in its log-probabilities; ``speech_s``
    are the seconds of speech that it was learnt from.
    """

    model: str
    sha256: str
    shift: tuple[float, ...]
    speech_s: float

    def attune(self, prediction: Prediction) -> Prediction:
        """Return a judgement without what is this person's own."""
        weights = prediction.probs * np.exp(-np.array(self.shift, np.float32))
        return replace(prediction, probs=freeze((weights / weights.sum()).astype(np.float32)))


def log_probs(probs: F32) -> F32:
    """Return natural logarithms of probabilities, none below that of a ten-thousandth."""
    logs: F32 = np.log(np.maximum(probs, _LEAST_PROB))
    return logs


def learn(utterances: Sequence[Utterance], manifest: Manifest) -> OwnVoice:
    """Learn a person's own voice from what the model of ``manifest`` said of ordinary speech.

    The log-probabilities' mean over the utterances, by their speech, is compared with what
    the model says of strangers who feel nothing in particular, and believed the more the
    longer it is.

    Raises
    ------
    InputError
        If there are less than ``LEAST_S`` seconds of speech, or another model's labels.
    ModelError
        If the manifest does not tell how strangers sound.
    """
    ordinary = strangers_of(manifest)
    speech_s = sum(utterance.speech_s for utterance in utterances)
    if speech_s < LEAST_S:
        raise InputError(
            f"{speech_s:.1f} s of speech are too few to learn a voice from: give {LEAST_S:g} s or "
            "more, best 15"
        )
    if other := [told.labels for told in utterances if told.labels != manifest.labels]:
        raise InputError(
            f"an utterance with the labels {shown(list(other[0]))} is none of model "
            f"{manifest.name}, which has {shown(list(manifest.labels))}: give what that model said"
        )
    heard = np.average(
        [log_probs(utterance.probs) for utterance in utterances],
        axis=0,
        weights=[utterance.speech_samples for utterance in utterances],
    )
    shift = (heard - ordinary) * speech_s / (speech_s + _HALF_S)
    shift = np.clip(shift - (shift.max() + shift.min()) / 2.0, -MOST_SHIFT, MOST_SHIFT)
    return OwnVoice(
        model=manifest.name,
        sha256=manifest.sha256,
        shift=tuple(round(float(value), 4) for value in shift),
        speech_s=round(speech_s, 1),
    )


def strangers_of(manifest: Manifest) -> F32:
    """Return how strangers who feel nothing sound to a model, in nats, shape (labels,).

    Raises
    ------
    ModelError
        If its manifest does not tell.
    """
    if manifest.ordinary is None:
        raise ModelError(
            f"model {manifest.name} does not tell how strangers sound, so that nobody's own voice "
            "can be told from it: take model research"
        )
    return np.array(manifest.ordinary, np.float32)


def save_voice(voice: OwnVoice, path: Path) -> None:
    """Write a voice as YAML, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written there.
    """
    tree = {"model": voice.model, "sha256": voice.sha256, "speech_s": voice.speech_s}
    text = yaml.safe_dump({**tree, "shift": list(voice.shift)}, sort_keys=False)
    try:
        write_text_whole(path, text)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}: give another file") from None


def check_target(path: Path) -> None:
    """Refuse a file that a voice may not take the place of, before anybody speaks for it.

    Raises
    ------
    ConfigError
        If it does not end in ``.yaml``, or is there and holds something else than a voice.
    OutputError
        If its folder is not there or may not be entered, or its name is too long.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(
            f"{path} would be the voice's file: give one that ends in .yaml, recordings after it"
        )
    try:
        has_folder, is_there = path.parent.is_dir(), path.exists()
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}: give another file") from None
    if not has_folder:
        raise OutputError(f"{path}: no such folder: make it, or give another file")
    if is_there and "shift" not in _tree(path):
        raise ConfigError(f"{path}: is there and holds no voice: give another file")


def read_voice(path: Path, manifest: Manifest) -> OwnVoice:
    """Read a voice that was learnt for the model of ``manifest``.

    Raises
    ------
    ConfigError
        If the file is missing or is none that :func:`save_voice` wrote.
    ModelError
        If it was learnt for another model.
    """
    tree = _tree(path)
    try:
        voice = OwnVoice(
            model=str(tree["model"])[:60],
            sha256=str(tree["sha256"]),
            shift=tuple(float(value) for value in tree["shift"]),
            speech_s=float(tree["speech_s"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ConfigError(f"{path}: no voice: make one with rt-ser enroll, in a new file") from None
    _check_model(voice, manifest, str(path))
    within = all(math.isfinite(value) and abs(value) <= MOST_SHIFT for value in voice.shift)
    if len(voice.shift) != len(manifest.labels) or not within:
        raise ConfigError(
            f"{path}: shift={shown(list(voice.shift))} must be {len(manifest.labels)} numbers from "
            f"-{MOST_SHIFT:g} to {MOST_SHIFT:g}: make it anew with rt-ser enroll"
        )
    return voice


def check_fit(voice: OwnVoice, manifest: Manifest) -> None:
    """Refuse a voice that was learnt for another model than that of ``manifest``.

    Raises
    ------
    ModelError
        If the checksum or the number of labels is another.
    """
    _check_model(voice, manifest, "this voice")
    if len(voice.shift) != len(manifest.labels):
        raise ModelError(
            f"this voice has {len(voice.shift)} values, model {manifest.name} "
            f"{len(manifest.labels)} labels: make it anew with rt-ser enroll"
        )


def _check_model(voice: OwnVoice, manifest: Manifest, what: str) -> None:
    if voice.sha256 != manifest.sha256:
        raise ModelError(
            f"{what}: learnt for another model ({voice.model}), not this {manifest.name}: "
            "make it anew with rt-ser enroll"
        )


def _tree(path: Path) -> Mapping[Any, Any]:
    try:
        return read_mapping(path, most_bytes=_MAX_BYTES, kind="voice")
    except OSError as error:
        raise ConfigError(
            f"voice {path}: {error.strerror or error}: make one with rt-ser enroll"
        ) from None
    except ValueError:
        raise ConfigError(f"{path}: no voice: make one with rt-ser enroll, in a new file") from None
