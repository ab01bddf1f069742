"""How sure a network may be, learnt from the windows that the live pipeline would show it.

An utterance is judged again and again as it grows, and its probabilities are averaged:
see :func:`rt_ser.utterances.weight_of`. A temperature that suits single whole windows
leaves such means too timid, so it is fitted to the means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_ser.config import EstimateSettings
from rt_ser.recipes import Recipe
from rt_ser.types import F32, RATE_HZ
from rt_ser.utterances import weight_of
from train.corpora.clip import LABELS
from train.examples import Examples
from train.metrics import Outcomes, uar
from train.windows import windows_of

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]

SPEECH_LOST = 0.01
"""Share of speech windows that the speech head may veto."""

_TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Growing:
    """Windows of utterances as they grow.

    ``inputs`` (n, frames, mels, 1); ``owners`` (n,) index of the clip among those given;
    ``weights`` (n,) how much each counts in its clip's mean.
    """

    inputs: F32
    owners: Ints
    weights: F64


def growing_windows(examples: Examples, features: Recipe) -> Growing:
    """Lay out the windows at which the pipeline, with its default settings, would ask."""
    settings = EstimateSettings()
    hop = round(settings.hop_s * RATE_HZ / features.hop_samples)
    first = round(settings.min_speech_s * RATE_HZ / features.hop_samples)
    pairs = [
        (index, stop)
        for index, count in enumerate(examples.count)
        for stop in {*range(first, int(count), hop), int(count)}
    ]
    chosen, stops = (np.array(values, np.int64) for values in zip(*sorted(pairs), strict=True))
    lengths = np.minimum(stops, features.window_frames)
    return Growing(
        inputs=windows_of(examples, features, chosen, stops - lengths, lengths),
        owners=examples.clip[chosen],
        weights=np.array([weight_of(int(n) * features.hop_samples) for n in lengths]),
    )


def fit_temperature(
    logits: F32,
    masks: F32,
    targets: Ints,
    *,
    owners: Ints | None = None,
    weights: F64 | None = None,
) -> float:
    """Return the temperature of least negative log-likelihood (Guo et al. 2017).

    Parameters
    ----------
    logits, masks : ndarray, shape (n, classes)
        ``masks`` is 0 for classes that a window's corpus does not have.
    targets : ndarray, shape (n,)
        Index of each window's right class.
    owners, weights : ndarray, shape (n,), optional
        Windows of one owner are averaged before they are scored; every window stands
        for itself if not given.
    """
    owners = np.arange(len(targets)) if owners is None else owners
    weights = np.ones(len(targets)) if weights is None else weights
    groups = np.unique(owners, return_inverse=True)[1]
    totals = np.bincount(groups, weights)
    rows = np.arange(len(targets))

    def loss(temperature: float) -> float:
        scaled = np.where(masks > 0, logits / temperature, -np.inf)
        peak = scaled.max(axis=1, keepdims=True)
        right = np.exp(scaled[rows, targets] - peak[:, 0])
        right /= np.exp(scaled - peak).sum(axis=1)
        means = np.bincount(groups, weights * right) / totals
        return float(-np.log(np.maximum(means, 1e-12)).mean())

    return float(min(_TEMPERATURES, key=loss))


def temperature_of(examples: Examples, features: Recipe, ask: Callable[[F32], F32]) -> float:
    """Fit the temperature of what ``ask`` says of the examples' windows; 1 without any."""
    if not len(examples):
        return 1.0
    windows = growing_windows(examples, features)
    about = _rows_of(examples, windows.owners)
    return fit_temperature(
        ask(windows.inputs),
        examples.masks[about],
        examples.targets[about].argmax(axis=1),
        owners=windows.owners,
        weights=windows.weights,
    )


def recalls_mean(
    examples: Examples,
    features: Recipe,
    ask: Callable[[F32], F32],
    classes: Collection[str] = LABELS,
) -> float:
    """Return the UAR, 0 to 1, of clips by the weighted mean over their growing windows.

    The mean over corpora of each one's, over those of ``classes`` that it has. It is what the
    live pipeline does with windows that are cut from features and not from sound, quick enough
    to compare two networks on the same clips.
    """
    windows = growing_windows(examples, features)
    clips, groups = np.unique(windows.owners, return_inverse=True)
    rows = _rows_of(examples, clips)
    masks = examples.masks[rows] * np.isin(LABELS, list(classes))
    logits = np.where(masks[groups] > 0, ask(windows.inputs), -np.inf)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    means = np.zeros((len(clips), probs.shape[1]))
    np.add.at(means, groups, windows.weights[:, None] * probs)
    outcomes = Outcomes(
        classes=LABELS,
        targets=examples.targets[rows].argmax(axis=1),
        probs=means,
        speakers=clips.astype(np.str_),
    )
    _, corpora = np.unique(masks, axis=0, return_inverse=True)
    corpora = corpora.reshape(-1)  # NumPy 2.0 returns a column here
    return float(np.mean([uar(outcomes.take(corpora == one)) for one in np.unique(corpora)]))


def _rows_of(examples: Examples, clips: Ints) -> Ints:
    """Return an example of each clip: all of a clip's have the same targets and masks."""
    places = dict(zip(examples.clip.tolist(), range(len(examples)), strict=True))
    return np.array([places[clip] for clip in clips.tolist()], np.int64)


def prior_offsets(weights: F64, targets: F32, masks: F32) -> F32:
    """Return by how much the classes' logits exceed what balanced classes would have taught.

    Taken away from the logits they give the best balanced error (Menon et al. 2021, "Long-tail
    learning via logit adjustment"): crowds hear *neutral* more often than actors mean it,
    and corpora have classes of other sizes. Shape (classes,), zero on average; a class is
    compared only with those of the corpora that have it.
    """
    offsets, totals = np.zeros(masks.shape[1]), np.zeros(masks.shape[1])
    kinds = (masks > 0) @ (1 << np.arange(masks.shape[1]))
    for kind in np.unique(kinds):
        rows = kinds == kind
        mask = masks[rows][0]
        weight = weights[rows].sum()
        prior = weights[rows] @ targets[rows] / weight
        has = (mask > 0) & (prior > 0)
        offsets[has] += weight * np.log(prior[has] * has.sum())
        totals[has] += weight
    taught = totals > 0
    offsets[taught] /= totals[taught]
    return np.asarray(np.where(taught, offsets - offsets[taught].mean(), 0.0), np.float32)


def speech_offset(examples: Examples, features: Recipe, ask: Callable[[F32], F32]) -> float:
    """Return the logit that all but ``SPEECH_LOST`` of the examples' windows exceed.

    Shifted by it, the speech head vetoes as much as it can for that loss at a probability
    of one half. 0 without examples.
    """
    if not len(examples):
        return 0.0
    logits = ask(growing_windows(examples, features).inputs)
    return max(0.0, float(np.quantile(logits, SPEECH_LOST)))
