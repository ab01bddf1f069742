"""What a network must not mind: noise, rooms, band limits, and parts of a window missing.

On whole batches of log-mel windows, natural log of power before level normalisation, with
the device's own random numbers and in shapes that never change, so that a CUDA graph can
hold it: of a batch a fixed number of windows is bent in each way.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from rt_ser.recipes import Recipe
from rt_ser.types import RATE_HZ
from train.examples import Examples
from train.recipe import Augmentation
from train.views.draw import NATS_PER_DB, WAVES, equaliser, levels, rows_at, shifted
from train.views.rooms import cells, reverberated

BACKWARDS = 0.3
"""Share of noises that are played backwards: there are few of them."""


def heights(tilt: float, waves: float, device: torch.device) -> torch.Tensor:
    """Return the deviations of an equaliser's gains, see :func:`train.views.draw.equaliser`."""
    orders = [waves / order for order in range(1, WAVES + 1)]
    # so far around the circle, phases are as good as uniform
    return torch.tensor([tilt, *orders, *[100.0] * WAVES], device=device)


def curves(n: int, heights: torch.Tensor, mels: int) -> torch.Tensor:
    """Draw gain curves, shape (n, 1, mels), whose gains deviate by so much."""
    gains = torch.randn(n, len(heights), device=heights.device) * heights
    return equaliser(gains, torch.linspace(-0.5, 0.5, mels, device=heights.device))


def without_steady(windows: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Subtract a share of what is steady in each band, leaving a twentieth of it (Boll 1979).

    ``windows`` (n, frames, mels) are natural log of power, ``share`` (n, 1, 1) is from 0 to 1.
    What is steady is taken to be the harmonic mean of a band's power over time.
    """
    steady = math.log(windows.shape[1]) - torch.logsumexp(-windows, dim=1, keepdim=True)
    rest = 1.0 - share * (steady - windows).exp()
    quieter = windows + rest.clamp(min=1e-6).log()
    return torch.maximum(quieter, steady - 3.0)


def scaled(windows: torch.Tensor, features: Recipe) -> torch.Tensor:
    """Return windows (n, frames, mels) as model inputs: at one level, from -1 to 1."""
    values = (windows - levels(windows)[:, None, None]).clamp(features.low, features.high)
    return (values - (features.high + features.low) / 2.0) / ((features.high - features.low) / 2.0)


def how_many(share: float, windows: int) -> int:
    """Return how many of some windows a share is, rounded up so that it is never lost."""
    return math.ceil(round(share * windows, 6))


class Distortion:
    """Noise on a device, and how far windows are bent."""

    def __init__(
        self, noise: Examples, features: Recipe, settings: Augmentation, device: torch.device
    ) -> None:
        self._features, self._settings, self._device = features, settings, device
        self._rows = torch.from_numpy(noise.rows).to(device)
        self._first = torch.from_numpy(noise.first).to(device)
        self._count = torch.from_numpy(noise.count).to(device)
        self._cells = torch.from_numpy(cells(features)).to(device)
        self._noise_heights = heights(settings.tilt, settings.equaliser, device)
        tilt, waves = settings.microphone_tilt, settings.microphone_waves
        self._microphone_heights = heights(tilt, waves, device)

    def __call__(self, windows: torch.Tensor, silent: int) -> torch.Tensor:
        """Return model inputs (n, frames, mels); noise alone in the first ``silent`` of them."""
        settings, windows = self._settings, windows.clone()
        self._bend(windows, settings.reverb, self._reverberated)
        windows[:silent] = self._noises(windows[:silent])
        windows = self._by_another_microphone(windows)
        level = levels(windows)[:, None, None]
        self._bend(windows, settings.noise, self._noisy, level)
        self._bend(windows, settings.floor, self._above_a_floor, level)
        self._bend(windows, settings.band_limit, self._band_limited, level)
        self._bend(windows, settings.telephone, self._by_telephone, level)
        return self._masked(scaled(windows, self._features))

    def _bend(
        self,
        windows: torch.Tensor,
        share: float,
        bend: Callable[..., torch.Tensor],
        *known: torch.Tensor,
    ) -> None:
        """Bend a share of the windows, in place, given what is ``known`` of each.

        Which ones is left to chance and how many is not: the rest costs nothing.
        """
        count = how_many(share, len(windows))
        if count:
            chosen = torch.rand(len(windows), device=self._device).argsort()[:count]
            bent = bend(windows[chosen], *(values[chosen] for values in known))
            windows.index_copy_(0, chosen, bent)

    def _by_another_microphone(self, windows: torch.Tensor) -> torch.Tensor:
        """Take the steady noise out of some, change the contrast of all and the tone of some."""
        settings = self._settings
        self._bend(windows, settings.denoise, self._cleaned)
        if settings.contrast:
            level = levels(windows)[:, None, None]
            gain = self._uniform(windows, -settings.contrast, settings.contrast).exp()
            windows = level + (windows - level) * gain
        self._bend(windows, settings.microphone, self._recoloured)
        return windows

    def _cleaned(self, windows: torch.Tensor) -> torch.Tensor:
        return without_steady(windows, self._uniform(windows, 0.0, 1.0))

    def _recoloured(self, windows: torch.Tensor) -> torch.Tensor:
        return windows + self._curves(len(windows), self._microphone_heights)

    def _noisy(self, windows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        noise = self._noises(windows)
        snr = self._uniform(windows, self._settings.lowest_snr_db, 35.0) * NATS_PER_DB
        return torch.logaddexp(windows, noise + level - levels(noise)[:, None, None] - snr)

    def _above_a_floor(self, windows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        snr = self._uniform(windows, 10.0, 50.0) * NATS_PER_DB
        floor = 0.4 * torch.randn_like(windows) + self._curves(len(windows), self._noise_heights)
        return torch.logaddexp(windows, floor + level - snr)

    def _band_limited(self, windows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return torch.where(self._beyond(len(windows), (0, 10), (42, 62)), level - 12.0, windows)

    def _by_telephone(self, windows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        # 300 and 3400 Hz lie at bands 7 and 45
        return torch.where(self._beyond(len(windows), (6, 10), (44, 50)), level - 12.0, windows)

    def _uniform(self, windows: torch.Tensor, low: float, high: float) -> torch.Tensor:
        """Draw a number between two for each window, shape (n, 1, 1)."""
        return low + (high - low) * torch.rand(len(windows), 1, 1, device=self._device)

    def _reverberated(self, windows: torch.Tensor) -> torch.Tensor:
        most_db, frame_s = self._settings.reverb_most_db, self._features.hop_samples / RATE_HZ
        return reverberated(windows, most_db, self._cells, frame_s)

    def _noises(self, like: torch.Tensor) -> torch.Tensor:
        """Bend noises further than voices, and lay some over others: there are few of them."""
        noises = self._noise(like)
        self._bend(noises, BACKWARDS, lambda some: some.flip(1))
        self._bend(noises, 0.5, self._with_another)
        return noises

    def _with_another(self, noises: torch.Tensor) -> torch.Tensor:
        other = self._noise(noises)
        fainter = self._uniform(noises, 0.0, 20.0) * NATS_PER_DB
        gain = (levels(noises) - levels(other))[:, None, None] - fainter
        return torch.logaddexp(noises, other + gain)

    def _noise(self, like: torch.Tensor) -> torch.Tensor:
        settings, (n, frames, _) = self._settings, like.shape
        which = torch.randint(len(self._first), (n,), device=self._device)
        count = self._count[which]
        spread = math.log1p(settings.noise_stretch)
        rate = self._uniform(like, -spread, spread)[:, 0].exp()
        start = torch.rand(n, device=self._device) * count
        at = start[:, None] + torch.arange(frames, device=self._device) * rate
        rows = rows_at(self._rows, self._first[which], count, at)
        shift = self._uniform(like, -settings.noise_mel_shift, settings.noise_mel_shift)
        return shifted(rows, shift[:, 0, 0]) + self._curves(n, self._noise_heights)

    def _curves(self, n: int, heights: torch.Tensor) -> torch.Tensor:
        return curves(n, heights, self._features.mels)

    def _beyond(self, n: int, low: tuple[int, int], high: tuple[int, int]) -> torch.Tensor:
        """Draw an edge from each of two ranges, say which bands lie beyond, (n, 1, bands)."""
        bands = torch.arange(self._features.mels, device=self._device)
        edges = [torch.randint(*span, (n, 1), device=self._device) for span in (low, high)]
        return ((bands < edges[0]) | (bands >= edges[1]))[:, None, :]

    def _masked(self, inputs: torch.Tensor) -> torch.Tensor:
        """Blank stretches of time and bands with the window's mean (SpecAugment)."""
        settings = self._settings
        n, frames, mels = inputs.shape
        rows = self._stretches(n, frames, settings.time_masks, settings.time_mask_rows)
        bands = self._stretches(n, mels, settings.mel_masks, settings.mel_mask_bands)
        hidden = rows[:, :, None] | bands[:, None, :]
        return torch.where(hidden, inputs.mean((1, 2), keepdim=True), inputs)

    def _stretches(self, n: int, size: int, masks: int, widest: int) -> torch.Tensor:
        at = torch.arange(size, device=self._device)
        width = torch.randint(0, widest + 1, (n, masks, 1), device=self._device)
        begin = torch.rand(n, masks, 1, device=self._device) * (size + 1 - width)
        begin = begin.floor()
        return ((at >= begin) & (at < begin + width)).any(1)
