"""From a window of features to calibrated probabilities, by an int8 TFLite file."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from rt_ser.errors import ModelError
from rt_ser.interpreter import open_interpreter
from rt_ser.manifest import Manifest, read_manifest, read_model
from rt_ser.types import F32, LogMel, Prediction, freeze
from rt_ser.voice import OwnVoice, check_fit, read_voice

PACKAGE = "rt_ser.models"


class Classifier(Protocol):
    """Anything that can judge a window."""

    @property
    def manifest(self) -> Manifest: ...  # noqa: D102

    def predict(self, features: LogMel) -> Prediction:
        """Return probabilities over ``manifest.labels`` for one window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tensor:
    """Index and affine quantisation of one int8 tensor."""

    index: int
    scale: float
    zero_point: int

    @classmethod
    def of(cls, details: dict[str, Any]) -> _Tensor:
        scale, zero_point = details["quantization"]
        return cls(index=details["index"], scale=float(scale), zero_point=int(zero_point))

    def quantise(self, values: F32) -> NDArray[np.int8]:
        """Round to the nearest step and bound: 1.0 must not wrap round to -1.0."""
        steps = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.asarray(np.clip(steps, -128, 127), np.int8)

    def dequantise(self, values: NDArray[np.int8]) -> F32:
        """Return real values."""
        return (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def softmax(logits: F32) -> F32:
    """Return probabilities, shape as given, summing to 1."""
    weights = np.exp(logits - logits.max())
    probs: F32 = (weights / weights.sum()).astype(np.float32)
    return probs


class TfliteClassifier:
    """An int8 model with its manifest. One thread at a time may use it.

    The file has one int8 input of shape (1, window_frames, mels, 1) and one or two int8
    outputs: a logit per label, and optionally one logit that is positive for speech.
    """

    def __init__(
        self, manifest: Manifest, *, threads: int = 1, content: bytes | None = None
    ) -> None:
        self.manifest = manifest
        content = read_model(manifest) if content is None else content
        self._interpreter = open_interpreter(content, threads=threads, name=str(manifest.path))
        self._input = self._check_input()
        self._emotion, self._speech = self._find_outputs()

    @classmethod
    def load(cls, name: str | Path, *, threads: int = 1) -> TfliteClassifier:
        """Load an installed model by name, or one's own by the path of its ``.tflite``.

        Raises
        ------
        ModelError
            If it is missing, damaged, unfit, or no runtime is installed.
        """
        return cls(find_manifest(name), threads=threads)

    def predict(self, features: LogMel) -> Prediction:
        """Judge one window; ``features.values`` has shape (window_frames, mels)."""
        began = time.perf_counter()
        values = self._input.quantise(features.values)[None, :, :, None]
        self._interpreter.set_tensor(self._input.index, values)
        self._interpreter.invoke()
        logits = self._read(self._emotion) / np.float32(self.manifest.temperature)
        speech = 1.0 if self._speech is None else self._speech_prob(self._speech)
        return Prediction(
            probs=freeze(softmax(logits)),
            speech_prob=speech,
            start=features.start,
            stop=features.stop,
            utterance=features.utterance,
            inference_ms=1000.0 * (time.perf_counter() - began),
        )

    def _read(self, tensor: _Tensor) -> F32:
        return tensor.dequantise(self._interpreter.get_tensor(tensor.index)[0])

    def _speech_prob(self, tensor: _Tensor) -> float:
        return float(1.0 / (1.0 + np.exp(-np.float64(self._read(tensor)[0]))))

    def _check_input(self) -> _Tensor:
        recipe = self.manifest.recipe
        details = self._interpreter.get_input_details()
        wanted = (1, recipe.window_frames, recipe.mels, 1)
        shape = tuple(int(size) for size in details[0]["shape"])
        if len(details) != 1 or shape != wanted or details[0]["dtype"] is not np.int8:
            raise ModelError(
                f"{self.manifest.path}: input {shape} {details[0]['dtype'].__name__} is not "
                f"{wanted} int8: export the model for features {recipe.name}"
            )
        return _Tensor.of(details[0])

    def _find_outputs(self) -> tuple[_Tensor, _Tensor | None]:
        details = self._interpreter.get_output_details()
        by_size = {int(np.prod(item["shape"])): _Tensor.of(item) for item in details}
        labels = len(self.manifest.labels)
        if set(by_size) - {1} != {labels} or any(item["dtype"] is not np.int8 for item in details):
            raise ModelError(
                f"{self.manifest.path}: outputs of {sorted(by_size)} values do not fit "
                f"{labels} labels in int8: export the model again"
            )
        return by_size[labels], by_size.get(1)


class SharedClassifier:
    """One loaded model for any number of streams and threads.

    The file's bytes are held once. Interpreters are opened when all others are busy, up
    to ``max_interpreters``; each serves one call at a time, and a call beyond that waits
    for one to come back. So streams cost no model, and the answers are those of one alone.

    Parameters
    ----------
    manifest : Manifest
        The model's.
    threads : int
        Inference threads of each interpreter.
    max_interpreters : int, optional
        One for each processor, but no more than four, if not given.
    """

    def __init__(
        self, manifest: Manifest, *, threads: int = 1, max_interpreters: int | None = None
    ) -> None:
        most = min(4, os.cpu_count() or 1) if max_interpreters is None else max_interpreters
        if most < 1:
            raise ValueError(f"max_interpreters={most} must be at least 1")
        self.manifest = manifest
        self._threads = threads
        self._content = read_model(manifest)
        self._permits = threading.Semaphore(most)
        self._idle: deque[TfliteClassifier] = deque([self._open()])
        self.interpreters = 1

    def predict(self, features: LogMel) -> Prediction:
        """Judge one window, see :meth:`TfliteClassifier.predict`; any thread may call this."""
        with self._permits:
            try:
                classifier = self._idle.pop()
            except IndexError:
                classifier = self._open()
                self.interpreters += 1
            try:
                return classifier.predict(features)
            finally:
                self._idle.append(classifier)

    def _open(self) -> TfliteClassifier:
        return TfliteClassifier(self.manifest, threads=self._threads, content=self._content)


class AttunedClassifier:
    """A classifier whose judgements have one person's own voice taken off.

    Its name says so, wherever estimates are logged: ``research+voice``. The voice takes the
    place of one that the classifier was attuned to.

    Raises
    ------
    ModelError
        If the voice was learnt for another model.
    """

    def __init__(self, classifier: Classifier, voice: OwnVoice) -> None:
        if isinstance(classifier, AttunedClassifier):
            classifier = classifier.unattuned
        check_fit(voice, classifier.manifest)
        self.manifest = replace(classifier.manifest, name=f"{classifier.manifest.name}+voice")
        self.unattuned: Classifier = classifier
        self._voice = voice

    def predict(self, features: LogMel) -> Prediction:
        """Judge one window as the classifier does, then attune what it says."""
        return self._voice.attune(self.unattuned.predict(features))


def attuned(classifier: Classifier, voice: str | None) -> Classifier:
    """Return a classifier attuned to the voice in a file, or as it is where there is none.

    Raises
    ------
    ConfigError, ModelError
        As :func:`rt_ser.voice.read_voice` does.
    """
    if not voice:
        return classifier
    return AttunedClassifier(classifier, read_voice(Path(voice), classifier.manifest))


_Loaded: TypeAlias = WeakValueDictionary[Hashable, SharedClassifier]
_loaded: _Loaded = WeakValueDictionary()
_loading = threading.Lock()


def shared_classifier(name: str | Path, *, threads: int = 1) -> SharedClassifier:
    """Return the one classifier of a model in this process, loading it where there is none.

    It is let go of with the last stream that uses it. A file that has changed since is
    another model.

    Raises
    ------
    ModelError
        As :meth:`TfliteClassifier.load` does.
    """
    manifest = find_manifest(name)
    key = (manifest.path.resolve(), manifest.sha256, manifest.labels, manifest.temperature, threads)
    with _loading:
        classifier = _loaded.get(key)
        if classifier is None:
            classifier = _loaded[key] = SharedClassifier(manifest, threads=threads)
    return classifier


def installed_models() -> Iterator[Manifest]:
    """Yield the manifest of every model that came with the package, by name."""
    folder = Path(str(resources.files(PACKAGE)))
    for path in sorted(folder.glob("*.yaml")):
        yield read_manifest(path)


def find_manifest(name: str | Path) -> Manifest:
    """Return the manifest of an installed model, or of a ``.tflite`` file's path.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    path = Path(name)
    if path.suffix == ".tflite":
        if not os.path.isfile(path):  # a Path's own raises for names too long, closed folders
            raise ModelError(f"model {name}: no such file; see rt-ser models for those installed")
        return read_manifest(path.with_suffix(".yaml"))
    known = {manifest.name: manifest for manifest in installed_models()}
    if str(name) not in known:
        raise ModelError(
            f"model {str(name)!r} is not installed: choose {' or '.join(known) or 'none'}, "
            "or give the path of a .tflite file"
        )
    return known[str(name)]
