"""What networks are shown: views of one length after another, drawn for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from train.recipe import TrainRecipe
from train.views.distort import Distortion, how_many


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Views of one length that a network learns from for some steps; all lies on one device.

    ``seen`` (any, frames, mels) are windows, natural log of power, of which ``rows`` (n,)
    are learnt from, each ``often`` (n,). ``targets`` and ``masks`` have shape
    (n, CLASSES), ``places`` (n, any).
    """

    steps: int
    seen: torch.Tensor
    rows: torch.Tensor
    often: torch.Tensor
    targets: torch.Tensor
    masks: torch.Tensor
    places: torch.Tensor


Batch = dict[str, torch.Tensor]


class Draw:
    """Batches from one course of each network, which all show the same ``seen``.

    A batch has ``recipe.batch`` windows for each of ``abreast`` networks. What is true of
    them is laid out window by window, and for each of these network by network.
    """

    def __init__(
        self, recipe: TrainRecipe, courses: Sequence[Course], distortion: Distortion
    ) -> None:
        first = courses[0]
        if any(course.seen is not first.seen for course in courses):
            raise ValueError("networks side by side must be shown views of one school")
        self._recipe, self._distortion = recipe, distortion
        self.steps, self.abreast, self._seen = first.steps, len(courses), first.seen
        self._rows = torch.cat([course.rows for course in courses])
        self._targets = torch.cat([course.targets for course in courses])
        self._masks = torch.cat([course.masks for course in courses])
        self._places = torch.cat([course.places for course in courses])
        self._chosen = _chosen(courses, recipe.batch)
        self._silent = round(recipe.noise_share * recipe.batch)
        self._mixed = how_many(recipe.augmentation.mixup, recipe.batch - self._silent)

    def batch(self, number: torch.Tensor) -> tuple[torch.Tensor, Batch]:
        """Return model inputs (batch, abreast, frames, mels) of a step, and what is true of them.

        ``number`` (1,) counts this course's steps from 0. The first ``noise_share`` of the
        windows are noise, and some of the last are mixed with other voices (mixup).
        """
        recipe = self._recipe
        chosen = self._chosen.index_select(0, number)[0].flatten()
        windows = self._seen[self._rows[chosen]].float()
        inputs = self._distortion(windows, self._silent * self.abreast)
        inputs = inputs.unflatten(0, (recipe.batch, self.abreast))
        other, blend = self._partners()
        every = torch.arange(self.abreast, device=other.device)
        mixed = slice(recipe.batch - self._mixed, None)
        share = blend[mixed, :, None, None]
        inputs[mixed] = torch.lerp(inputs[other[mixed], every], inputs[mixed], share)
        other, blend = (other * self.abreast + every).flatten(), blend.flatten()
        speech = torch.ones(recipe.batch, self.abreast, device=other.device)
        speech[: self._silent] = 0.0
        targets, masks = self._targets[chosen].float(), self._masks[chosen]
        places = self._places[chosen].float()
        return inputs, {
            "targets": torch.stack([targets, targets[other]], 1),
            "masks": torch.stack([masks, masks[other]], 1),
            "blend": blend,
            "speech": speech.flatten(),
            "labelled": speech.flatten(),
            "places": torch.lerp(places[other], places, blend[:, None]),
        }

    def _partners(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw which window each is mixed with, and its own share, both (batch, abreast)."""
        batch, device, count = self._recipe.batch, self._rows.device, self._mixed
        other = torch.arange(batch, device=device)[:, None].repeat(1, self.abreast)
        blend = torch.ones(batch, self.abreast, device=device)
        if count:
            shape = (count, self.abreast)
            other[-count:] = torch.randint(self._silent, batch, shape, device=device)
            drawn = _beta(shape, self._recipe.augmentation.mixup_alpha, device)
            blend[-count:] = torch.maximum(drawn, 1.0 - drawn)
        return other, blend


def _chosen(courses: Sequence[Course], batch: int) -> torch.Tensor:
    """Draw what every step shows, as places among all networks' rows: (steps, batch, abreast)."""
    drawn, before = [], 0
    for course in courses:
        places = torch.multinomial(course.often, course.steps * batch, replacement=True)
        drawn.append(places.view(course.steps, batch) + before)
        before += len(course.rows)
    return torch.stack(drawn, dim=2)


def _beta(shape: tuple[int, int], alpha: float, device: torch.device) -> torch.Tensor:
    """Draw from Beta(alpha, alpha) for alpha below 1 (Johnk 1964), best of eight tries."""
    powers = torch.rand(8, 2, *shape, device=device) ** (1.0 / alpha)
    total = powers.sum(1)
    fits = (total <= 1.0) & (total > 0)
    first = fits.float().argmax(0)
    chosen = torch.gather(powers, 0, first[None, None].expand(1, 2, *shape))[0]
    return torch.where(fits.any(0), chosen[0] / chosen.sum(0).clamp(min=1e-12), 0.5)
