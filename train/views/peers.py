"""Networks as teachers: what earlier ones say of a view, where no large encoder is asked.

Networks that began from other weights err differently, so that together they are right more
often than either; and what they say of a view tells more than its label, as others' pupils
have found (Furlanello et al. 2018, "Born again neural networks").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rt_ser.recipes import Recipe
from train.learning import masked_log_softmax
from train.net import Network
from train.views.distort import scaled

_AT_ONCE = 64


def opinions_of(
    peers: Sequence[Network], windows: torch.Tensor, masks: torch.Tensor, features: Recipe
) -> torch.Tensor:
    """Return the mean probabilities (n, classes) that peers give windows, over their own classes.

    Parameters
    ----------
    windows : Tensor, shape (n, frames, mels), natural log of power
    masks : Tensor, shape (n, classes)
        1 for each class that a window's corpus has.
    """
    told = []
    for some, has in zip(windows.split(_AT_ONCE), masks.split(_AT_ONCE), strict=True):
        inputs = scaled(some.float(), features)[:, None]
        with torch.no_grad():
            logits = [peer(inputs)["emotion"] for peer in peers]
        told.append(torch.stack([masked_log_softmax(one, has).exp() for one in logits]).mean(0))
    return torch.cat(told)
