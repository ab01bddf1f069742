"""One network learning from views; on a GPU a whole step is replayed as one CUDA graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from rt_ser.recipes import recipe_named
from train.examples import CLASSES
from train.net import Network, decay_groups
from train.recipe import TrainRecipe
from train.trainer import loss_of, one_cycle, read_checkpoint, write_checkpoint
from train.views.distort import Distortion

_PARTS = ("network", "average", "imitator", "optimizer")
_NEWEST = 0.01
"""Share of the newest step in the running mean of the loss."""

_WARMING = 3
"""Steps before a graph is recorded: libraries choose their ways in them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Views of one length that networks learn from for some steps; all lies on one device.

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


class Student:
    """A network, its optimiser, the running average of its weights, and what it learns from.

    It takes one course after the other, from first weights of its own or those of ``start``.
    """

    def __init__(
        self,
        recipe: TrainRecipe,
        courses: tuple[Course, ...],
        distortion: Distortion,
        seed: int,
        start: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe, self._courses, self._distortion = recipe, courses, distortion
        self.device = courses[0].seen.device
        self.total = sum(course.steps for course in courses)
        self._chosen = [
            torch.multinomial(course.often, course.steps * recipe.batch, replacement=True)
            .view(course.steps, recipe.batch)
            for course in courses
        ]
        features = recipe_named(recipe.features)
        self.network = Network(
            features, classes=CLASSES, shape=recipe.shape, dropout=recipe.dropout
        ).to(self.device)
        if start is not None:
            self.network.load_state_dict(start)
        self.average = copy.deepcopy(self.network).eval()
        self.imitator = nn.Linear(self.network.pooled_size, courses[0].places.shape[1])
        self.imitator.to(self.device)
        groups = decay_groups(self.network, recipe.weight_decay)
        groups.append({"params": list(self.imitator.parameters()), "weight_decay": 0.0})
        rate = torch.tensor(1e-4, device=self.device)
        on_gpu = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, lr=rate, fused=True, capturable=on_gpu)
        self._rates = torch.tensor(
            [one_cycle(step, self.total, recipe.peak_rate) for step in range(self.total)],
            device=self.device,
        )
        # of shape (1,): indexing by a number alone would wait for the device
        self._number = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.loss = torch.zeros((), device=self.device)
        self._moving = [
            (kept, new)
            for kept, new in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            )
            if kept.is_floating_point()
        ]
        self._warmed = [0] * len(courses)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._stream = torch.cuda.Stream() if on_gpu else None
        self.number = 0

    def step(self) -> None:
        """Take the next step; on a GPU it is only begun."""
        place, first = 0, 0
        while self.number >= first + self._courses[place].steps:
            first += self._courses[place].steps
            place += 1
        self.number += 1
        if self._stream is None:
            self._learn(place, first)
            return
        if not self._warmed[place]:
            torch.cuda.synchronize()
        with torch.cuda.stream(self._stream):
            if self._warmed[place] < _WARMING:
                self._warmed[place] += 1
                self._learn(place, first)
                return
            if place not in self._graphs:
                self._graphs = {place: self._recorded(place, first)}
            self._graphs[place].replay()

    @property
    def mean_loss(self) -> float:
        """The mean loss of the last hundred steps or so."""
        return float(self.loss) / (1.0 - (1.0 - _NEWEST) ** max(1, self.number))

    def wait(self) -> None:
        """Wait until every step that was begun is done."""
        if self._stream is not None:
            self._stream.synchronize()

    def _recorded(self, place: int, first: int) -> torch.cuda.CUDAGraph:
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._learn(place, first)
        return graph

    def _learn(self, place: int, first: int) -> None:
        """Take one step of a course that begins with step ``first``."""
        recipe, network = self.recipe, self.network
        rate = self._rates.index_select(0, self._number)[0]
        for group in self.optimizer.param_groups:
            group["lr"].copy_(rate)
        chosen = self._chosen[place].index_select(0, self._number - first)[0]
        with torch.no_grad():
            batch, inputs = self._batch(self._courses[place], chosen)
        network.train()
        pooled = self._pooled(inputs[:, None])
        loss = loss_of(network.logits(pooled), batch, recipe.speech_loss)
        missed = (self.imitator(pooled) - batch["places"]).square().mean(1)
        missed = (missed * batch["speech"]).sum() / batch["speech"].sum().clamp(min=1.0)
        loss = loss + recipe.imitation * missed
        self.optimizer.zero_grad(set_to_none=False)
        loss.backward()
        self.optimizer.step()
        decay = (1.0 + self._number) / (10.0 + self._number)
        self._follow(1.0 - decay.clamp(max=recipe.average)[0])
        self.loss += _NEWEST * (loss.detach() - self.loss)
        self._number += 1

    def _follow(self, share: torch.Tensor) -> None:
        """Let the average of weights and running statistics follow the network."""
        kept, new = [one for one, _ in self._moving], [one for _, one in self._moving]
        moves = torch._foreach_sub(new, kept)
        torch._foreach_mul_(moves, share)
        torch._foreach_add_(kept, moves)

    def _pooled(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the network pools; on a GPU its maps are bfloat16, a quarter faster."""
        if self._stream is None:
            return self.network.pooled(inputs)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            pooled = self.network.pooled(inputs)
        return pooled.float()

    def _batch(
        self, course: Course, chosen: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return targets and model inputs of one step, some of them mixed with others (mixup)."""
        recipe, n = self.recipe, len(chosen)
        silent = round(recipe.noise_share * n)
        windows = course.seen[course.rows[chosen]].float()
        inputs = self._distortion(windows, silent)
        speech = torch.ones(n, device=self.device)
        speech[:silent] = 0.0
        other = torch.rand(n, device=self.device).argsort()
        settings = recipe.augmentation
        drawn = _beta(n, settings.mixup_alpha, self.device)
        mixed = torch.rand(n, device=self.device) < settings.mixup
        mixed = mixed & (speech == speech[other])
        blend = torch.where(mixed, torch.maximum(drawn, 1.0 - drawn), torch.ones_like(drawn))
        share = blend[:, None, None]
        targets, masks = course.targets[chosen].float(), course.masks[chosen]
        places = course.places[chosen].float()
        batch = {
            "targets": torch.stack([targets, targets[other]], 1),
            "masks": torch.stack([masks, masks[other]], 1),
            "blend": blend,
            "speech": speech,
            "labelled": speech,
            "places": places * blend[:, None] + places[other] * (1.0 - blend[:, None]),
        }
        return batch, inputs * share + inputs[other] * (1.0 - share)

    def save(self, path: Path) -> None:
        """Write everything that going on needs; the file is whole at every moment."""
        state = {name: getattr(self, name).state_dict() for name in _PARTS}
        told = {"number": self.number, "loss": self.loss, "random": _random(self.device)}
        write_checkpoint(path, self.recipe, state | told)

    def restore(self, path: Path) -> None:
        """Go on where :meth:`save` was called.

        Raises
        ------
        ConfigError
            If the file belongs to another recipe.
        """
        kept = read_checkpoint(path, self.recipe, self.device)
        for name in _PARTS:
            getattr(self, name).load_state_dict(kept[name])
        self.number = int(kept["number"])
        self._number.fill_(self.number)
        self.loss.copy_(kept["loss"])
        set_state = torch.cuda.set_rng_state if self._stream else torch.set_rng_state
        set_state(kept["random"].cpu())


def _beta(n: int, alpha: float, device: torch.device) -> torch.Tensor:
    """Draw from Beta(alpha, alpha) for alpha below 1 (Johnk 1964), best of eight tries."""
    powers = torch.rand(8, 2, n, device=device) ** (1.0 / alpha)
    total = powers.sum(1)
    fits = (total <= 1.0) & (total > 0)
    first = fits.float().argmax(0)
    chosen = torch.gather(powers, 0, first[None, None].expand(1, 2, n))[0]
    return torch.where(fits.any(0), chosen[0] / chosen.sum(0).clamp(min=1e-12), 0.5)


def _random(device: torch.device) -> torch.Tensor:
    on_gpu = device.type == "cuda"
    state: torch.Tensor = torch.cuda.get_rng_state() if on_gpu else torch.get_rng_state()
    return state
