"""Views: stretches of utterances, bent in ways that may change how somebody seems to feel.

Network and teacher are shown the same view, so that what the teacher says of it is true of
it. What must change nothing, noise and rooms and telephones, is for the network alone: see
:mod:`train.views.distort`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from rt_ser.features import hz_to_mel
from rt_ser.types import F32, RATE_HZ
from train.clips import DEFAULT_RECIPE
from train.recipe import Augmentation
from train.views.heard_mel import MELS
from train.views.sounds import Sounds

I64 = NDArray[np.int64]

STEP = 16
"""Views are a multiple of so many rows long, so that many are equally long."""

NATS_PER_DB = math.log(10.0) / 10.0
"""Of power."""

WAVES = 3
"""Waves that an equaliser is made of, beside its tilt."""

_ROWS_AT_ONCE = 1 << 18
_AS_RECORDED = 0.35


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """Which stretches are seen, one row each.

    ``utterance`` and ``speed`` say of what, ``start`` and ``rate`` are in rows, ``rows`` is
    how long the view is; ``shift`` in bands; ``gains`` (n, 1 + 2 * waves) are an
    equaliser's tilt, and its waves' heights and phases. ``beside`` is a reader's utterance
    that is heard ``fainter`` nats below, -1 for none.
    """

    utterance: I64
    speed: I64
    start: F32
    rate: F32
    rows: I64
    shift: F32
    gains: F32
    beside: I64
    fainter: F32

    def __len__(self) -> int:
        """Count the views."""
        return len(self.utterance)

    def take(self, chosen: I64) -> Views:
        """Return some of the views."""
        return Views(**{spec.name: getattr(self, spec.name)[chosen] for spec in fields(self)})


def draw_views(
    rng: np.random.Generator,
    sounds: Sounds,
    utterances: I64,
    frames: int,
    settings: Augmentation,
    beside: I64,
) -> Views:
    """Draw one view, up to ``frames`` rows long, for each entry of ``utterances``.

    ``beside`` are the utterances that may be heard in the background. What is too short
    for a view is left out.
    """
    n = len(utterances)
    others = 1 + rng.integers(0, max(1, len(sounds.count) - 1), n)
    others = np.minimum(others, len(sounds.count) - 1)
    speed = np.where(rng.random(n) < _AS_RECORDED, 0, others)
    spread = np.log1p(settings.stretch)
    rate = np.exp(rng.uniform(-spread, spread, n))
    spare_rows = (sounds.count[speed, utterances] - 1) / rate
    full = np.minimum(spare_rows, frames) // STEP
    shortest = settings.shortest_s * RATE_HZ / DEFAULT_RECIPE.hop_samples // STEP
    partial = rng.random(n) < settings.partial
    some = np.floor(rng.uniform(np.minimum(full, shortest), full + 1.0))
    rows = STEP * np.where(partial, some, full)
    kind = rng.random(n)
    where = np.where(kind < 0.5, 0.0, np.where(kind < 0.75, 1.0, rng.random(n)))
    heard = (rng.random(n) < settings.babble) & (len(beside) > 0)
    drawn = rng.choice(beside, n) if len(beside) else np.zeros(n, np.int64)
    waves = rng.normal(0.0, settings.equaliser, (n, WAVES)) / np.arange(1, WAVES + 1)
    views = Views(
        utterance=utterances,
        speed=speed,
        start=(where * (spare_rows - rows) * rate).astype(np.float32),
        rate=rate.astype(np.float32),
        rows=rows.astype(np.int64),
        shift=rng.uniform(-settings.mel_shift, settings.mel_shift, n).astype(np.float32),
        gains=np.column_stack(
            [rng.normal(0.0, settings.tilt, n), waves, rng.uniform(0.0, 2.0 * np.pi, (n, WAVES))]
        ).astype(np.float32),
        beside=np.where(heard, drawn, -1),
        fainter=(rng.uniform(3.0, 25.0, n) * NATS_PER_DB).astype(np.float32),
    )
    return views.take(np.flatnonzero(rows >= STEP))


def equally_long(views: Views) -> list[I64]:
    """Part views into groups that are equally long, none of too many rows for a device."""
    parts: list[I64] = []
    for rows in np.unique(views.rows).tolist():
        those = np.flatnonzero(views.rows == rows)
        parts += np.array_split(those, -(-len(those) * rows // _ROWS_AT_ONCE))
    return parts


class Scenery:
    """Sounds on a device, from which views are cut."""

    def __init__(self, sounds: Sounds, device: torch.device) -> None:
        self.device = device
        self._seen = torch.from_numpy(sounds.seen).to(device)
        self._heard = torch.from_numpy(sounds.heard).to(device)
        self._first = torch.from_numpy(sounds.first).to(device)
        self._count = torch.from_numpy(sounds.count).to(device)
        own, theirs = _axes()
        self._axes = own.to(device), theirs[: sounds.heard.shape[1]].to(device)

    def cut(self, views: Views) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is seen and what is heard of views that are equally long.

        Seen is (n, rows, mels) natural log of power, heard (n, rows, MELS) decimal log, or
        (n, rows, 0) of sounds that nobody hears.
        """
        rows = int(views.rows[0])
        given = {
            spec.name: torch.from_numpy(getattr(views, spec.name)).to(self.device)
            for spec in fields(views)
        }
        at = torch.arange(rows, device=self.device) * given["rate"][:, None]
        at = at + given["start"][:, None]
        seen, heard = self._read(given["utterance"], given["speed"], at)
        still = torch.arange(rows, device=self.device).expand(len(views), rows).float()
        beside = given["beside"].clamp(min=0)
        behind = self._read(beside, torch.zeros_like(beside), still)
        gain = levels(seen) - levels(behind[0]) - given["fainter"]
        gain = torch.where(given["beside"] >= 0, gain, -1e3)[:, None, None]
        seen = torch.logaddexp(seen, behind[0] + gain)
        ten = float(np.log(10.0))
        heard = torch.logaddexp(heard * ten, behind[1] * ten + gain) / ten
        wider = (MELS + 1) / (DEFAULT_RECIPE.mels + 1) / _span()
        own, theirs = (equaliser(given["gains"], axis) for axis in self._axes)
        seen = shifted(seen, given["shift"]) + own
        heard = shifted(heard, given["shift"] * wider) + theirs / ten
        return seen, heard

    def _read(
        self, utterance: torch.Tensor, speed: torch.Tensor, at: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        first, count = self._first[speed, utterance], self._count[speed, utterance]
        return rows_at(self._seen, first, count, at), rows_at(self._heard, first, count, at)


def _span() -> float:
    """Return the share of the teacher's range of mels that the network's own covers."""
    low, high, top = hz_to_mel(np.array([DEFAULT_RECIPE.low_hz, DEFAULT_RECIPE.high_hz, 8000.0]))
    return float((high - low) / top)


def _axes() -> tuple[torch.Tensor, torch.Tensor]:
    """Return where bands lie, the network's from -0.5 to 0.5, and the teacher's beside them."""
    mels = DEFAULT_RECIPE.mels
    low = float(hz_to_mel(np.array([DEFAULT_RECIPE.low_hz]))[0])
    top = float(hz_to_mel(np.array([8000.0]))[0])
    own = torch.linspace(-0.5, 0.5, mels)
    centre = (torch.arange(MELS) + 1.0) * top / (MELS + 1)
    band = (centre - low) / (top * _span()) * (mels + 1) - 1.0
    return own, band / (mels - 1) - 0.5


def rows_at(
    source: torch.Tensor, first: torch.Tensor, count: torch.Tensor, at: torch.Tensor
) -> torch.Tensor:
    """Read stretches of rows at fractions of rows, from the start again after the end.

    The stretches have ``count`` (n,) rows of ``source`` from ``first`` (n,) on; ``at``
    (n, rows) counts from there.
    """
    base, count = first[:, None], count[:, None].clamp(min=1)
    at = at % count
    low = at.long().clamp(max=count - 1)
    below, above = source[base + low].float(), source[base + (low + 1) % count].float()
    return torch.lerp(below, above, (at - low)[..., None])


def levels(windows: torch.Tensor) -> torch.Tensor:
    """Return each window's speech level, as ``rt_ser.features.speech_level``, shape (n,)."""
    energy = windows.exp().mean(2)
    return (energy.square().sum(1) / energy.sum(1)).log()


def shifted(windows: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Slide each window along the mel axis by ``shift`` bands, edges repeated."""
    mels = windows.shape[2]
    bands = torch.arange(mels, device=windows.device)
    at = (bands + shift[:, None]).clamp(0, mels - 1)
    weights = (1.0 - (at[:, None, :] - bands[:, None]).abs()).clamp(min=0.0)
    return windows @ weights


def equaliser(gains: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    """Return smooth gain curves over the mel axis: a tilt and waves, shape (n, 1, bands)."""
    curve = gains[:, :1] * 2.0 * axis
    for order in range(1, WAVES + 1):
        phase = gains[:, WAVES + order : WAVES + order + 1]
        wave = torch.cos(2.0 * torch.pi * order * axis + phase)
        curve = curve + gains[:, order : order + 1] * wave
    return curve[:, None, :]
