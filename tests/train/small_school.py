"""A tiny recipe, and an encoder of no layers, for trainings of a made-up corpus in seconds."""

from __future__ import annotations

from dataclasses import replace

import torch

from train.recipe import Augmentation, TrainRecipe

STRAIGHT = Augmentation(
    partial=0.0, stretch=0.0, mel_shift=0.0, tilt=0.0, equaliser=0.0, noise=0.0, floor=0.0,
    band_limit=0.0, reverb=0.0, time_masks=0, mel_masks=0, mixup=0.0,
)  # fmt: skip
"""Bent in no way."""

RECIPE = TrainRecipe(
    name="tiny", width=0.25, batch=8, epochs=4, epoch_examples=64, dev_speakers=1, views=5,
    short_share=0.6, short_frames=64, peak_rate=0.01, average=0.9, noise_share=0.2, dropout=0.1,
    teacher_share=0.5, imitation=0.5, corpus_weight={"cremad": 1.0},
    augmentation=Augmentation(noise=0.2, mixup=0.2, shortest_s=0.2),
)  # fmt: skip

ALONE = replace(RECIPE, name="alone", teacher_share=0.0, imitation=0.0)
"""Labels alone tell it."""


def overall(mels: torch.Tensor) -> torch.Tensor:
    """Hear means and deviations of what is heard: an encoder of no layers."""
    return torch.cat([mels.mean(1), mels.std(1)], dim=1)
