"""What a network must not mind: noise, rooms, band limits, and parts of a window missing.

On whole batches of log-mel windows, natural log of power before level normalisation, with
the device's own random numbers and in shapes that never change, so that a CUDA graph can
hold it.
"""

from __future__ import annotations

import math

import torch

from rt_ser.recipes import Recipe
from rt_ser.types import RATE_HZ
from train.examples import Examples
from train.recipe import Augmentation
from train.views.draw import NATS_PER_DB, WAVES, equaliser, levels, rows_at, shifted


def uniform(n: int, low: float, high: float, device: torch.device) -> torch.Tensor:
    """Draw ``n`` numbers between two."""
    return low + (high - low) * torch.rand(n, device=device)


def _heights(tilt: float, waves: float, device: torch.device) -> torch.Tensor:
    """Return the deviations of an equaliser's gains, see :func:`train.views.draw.equaliser`."""
    orders = [waves / order for order in range(1, WAVES + 1)]
    # so far around the circle, phases are as good as uniform
    return torch.tensor([tilt, *orders, *[100.0] * WAVES], device=device)


def without_steady(windows: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Subtract a share of what is steady in each band, leaving a twentieth of it (Boll 1979).

    ``windows`` (n, frames, mels) are natural log of power, ``share`` (n, 1, 1) is from 0 to 1.
    What is steady is taken to be the harmonic mean of a band's power over time.
    """
    steady = math.log(windows.shape[1]) - torch.logsumexp(-windows, dim=1, keepdim=True)
    rest = 1.0 - share * (steady - windows).exp()
    quieter = windows + rest.clamp(min=1e-6).log()
    return torch.maximum(quieter, steady - 3.0)


class Distortion:
    """Noise on a device, and how far windows are bent."""

    def __init__(
        self, noise: Examples, features: Recipe, settings: Augmentation, device: torch.device
    ) -> None:
        self._features, self._settings, self._device = features, settings, device
        self._rows = torch.from_numpy(noise.rows).to(device)
        self._first = torch.from_numpy(noise.first).to(device)
        self._count = torch.from_numpy(noise.count).to(device)
        self._axis = torch.linspace(-0.5, 0.5, features.mels, device=device)
        self._noise_heights = _heights(settings.tilt, settings.equaliser, device)
        tilt, waves = settings.microphone_tilt, settings.microphone_waves
        self._microphone_heights = _heights(tilt, waves, device)

    def __call__(self, windows: torch.Tensor, silent: torch.Tensor) -> torch.Tensor:
        """Return model inputs (n, frames, mels); noise alone where ``silent`` is true."""
        settings, n = self._settings, len(windows)
        windows = torch.where(
            self._hit(n, settings.reverb), self._reverberated(windows), windows
        )
        silent = silent[:, None, None]
        windows = torch.where(silent, self._noises(windows), windows)
        windows = self._by_another_microphone(windows)
        level = levels(windows)[:, None, None]
        noise = self._noises(windows)
        snr = uniform(n, settings.lowest_snr_db, 35.0, self._device)[:, None, None] * NATS_PER_DB
        noise = noise + level - levels(noise)[:, None, None] - snr
        noisy = self._hit(n, settings.noise) & ~silent
        windows = torch.where(noisy, torch.logaddexp(windows, noise), windows)
        hit = self._hit(n, settings.floor)
        windows = torch.where(hit, torch.logaddexp(windows, self._floor(windows, level)), windows)
        windows = torch.where(self._out_of_band(n), level - 12.0, windows)
        return self._masked(self._scaled(windows))

    def _by_another_microphone(self, windows: torch.Tensor) -> torch.Tensor:
        """Take the steady noise out of some, change the contrast of all and the tone of some."""
        settings, n = self._settings, len(windows)
        if settings.denoise:
            hit = self._hit(n, settings.denoise)
            share = uniform(n, 0.0, 1.0, self._device)[:, None, None]
            windows = torch.where(hit, without_steady(windows, share), windows)
        if settings.contrast:
            level = levels(windows)[:, None, None]
            gain = uniform(n, -settings.contrast, settings.contrast, self._device).exp()
            windows = level + (windows - level) * gain[:, None, None]
        if settings.microphone:
            hit = self._hit(n, settings.microphone)
            windows = windows + hit * self._curves(n, self._microphone_heights)
        return windows

    def _hit(self, n: int, share: float) -> torch.Tensor:
        return (torch.rand(n, device=self._device) < share)[:, None, None]

    def _scaled(self, windows: torch.Tensor) -> torch.Tensor:
        low, high = self._features.low, self._features.high
        values = (windows - levels(windows)[:, None, None]).clamp(low, high)
        return (values - (high + low) / 2.0) / ((high - low) / 2.0)

    def _reverberated(self, windows: torch.Tensor) -> torch.Tensor:
        """Add the decaying tail of a small room to the power of each band.

        The tail of what was heard ``t`` seconds ago has fallen by 60 dB in a reverberation
        time of 0.2 to 0.7 s (Sabine), and has from 12 dB less than the direct sound's
        power to ``reverb_most_db`` more.
        """
        n, frames, _ = windows.shape
        times = uniform(n, 0.2, 0.7, self._device)
        fall = 60.0 * NATS_PER_DB * self._features.hop_samples / RATE_HZ / times
        ratio = (uniform(n, -12.0, self._settings.reverb_most_db, self._device) * NATS_PER_DB).exp()
        at = torch.arange(frames, device=self._device)
        age = (at[:, None] - at[None, :]).clamp(min=0).float()
        tail = (-age[None] * fall[:, None, None]).exp() * (age > 0)
        tail = tail * (ratio * (fall.exp() - 1.0))[:, None, None]
        loudest = windows.amax((1, 2), keepdim=True)
        power = (windows - loudest).exp()
        return (power + tail @ power).log() + loudest

    def _noises(self, like: torch.Tensor) -> torch.Tensor:
        """Bend noises further than voices, and lay some over others: there are few of them."""
        first, second = self._noise(like), self._noise(like)
        n = len(like)
        backwards = self._hit(n, 0.3)
        first = torch.where(backwards, first.flip(1), first)
        fainter = uniform(n, 0.0, 20.0, self._device)[:, None, None] * NATS_PER_DB
        gain = (levels(first) - levels(second))[:, None, None] - fainter
        return torch.where(self._hit(n, 0.5), torch.logaddexp(first, second + gain), first)

    def _noise(self, like: torch.Tensor) -> torch.Tensor:
        settings, (n, frames, _) = self._settings, like.shape
        which = torch.randint(len(self._first), (n,), device=self._device)
        count = self._count[which]
        spread = math.log1p(settings.noise_stretch)
        rate = uniform(n, -spread, spread, self._device).exp()
        start = torch.rand(n, device=self._device) * count
        at = start[:, None] + torch.arange(frames, device=self._device) * rate[:, None]
        rows = rows_at(self._rows, self._first[which], count, at)
        shift = uniform(n, -settings.noise_mel_shift, settings.noise_mel_shift, self._device)
        return shifted(rows, shift) + self._curves(n, self._noise_heights)

    def _curves(self, n: int, heights: torch.Tensor) -> torch.Tensor:
        gains = torch.randn(n, len(heights), device=self._device) * heights
        return equaliser(gains, self._axis)

    def _floor(self, windows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        n = len(windows)
        snr = uniform(n, 10.0, 50.0, self._device)[:, None, None] * NATS_PER_DB
        return 0.4 * torch.randn_like(windows) + self._curves(n, self._noise_heights) + level - snr

    def _out_of_band(self, n: int) -> torch.Tensor:
        outside = self._beyond(n, (0, 10), (42, 62)) & self._hit(n, self._settings.band_limit)
        if not self._settings.telephone:
            return outside
        called = self._hit(n, self._settings.telephone)
        # 300 and 3400 Hz lie at bands 7 and 45
        return torch.where(called, self._beyond(n, (6, 10), (44, 50)), outside)

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
