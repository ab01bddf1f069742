"""Named, versioned ways to turn samples into model input."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rt_ser.config import shown
from rt_ser.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named, versioned way to turn samples into model input. Never edit one: add another.

    ``low`` and ``high`` bound the level-normalised natural-log values, which pins the
    range that int8 quantisation has to cover.
    """

    name: str
    fft_samples: int
    hop_samples: int
    mels: int
    low_hz: float
    high_hz: float
    window_frames: int
    low: float
    high: float

    @property
    def window_samples(self) -> int:
        """Samples that a full window of frames spans."""
        return (self.window_frames - 1) * self.hop_samples + self.fft_samples

    def parameters(self) -> dict[str, Any]:
        """Return every parameter by name, as a manifest records it."""
        return asdict(self)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="logmel64-v1",
            fft_samples=512,
            hop_samples=160,
            mels=64,
            low_hz=50.0,
            high_hz=7600.0,
            window_frames=256,
            low=-10.0,
            high=4.0,
        ),
    )
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name, or raise ModelError listing those known."""
    if name not in RECIPES:
        raise ModelError(
            f"feature recipe {shown(name)} is unknown: this version knows {', '.join(RECIPES)}; "
            "install the rt-ser that the model was made for"
        )
    return RECIPES[name]
