"""Networks that learn from views side by side; on a GPU a whole step is one CUDA graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rt_ser.recipes import recipe_named
from train.examples import CLASSES
from train.learning import losses_of, one_cycle
from train.net import Lines, Network, decay_groups, joined, parted
from train.recipe import TrainRecipe
from train.views.course import Batch, Course, Draw
from train.views.distort import Distortion

State = Mapping[str, torch.Tensor]

_NEWEST = 0.01
"""Share of the newest step in the running mean of the loss."""

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW knows of a weight: its mean gradient and its mean square."""

_WARMING = 3
"""Steps before a graph is recorded: libraries choose their ways in them."""


class Cohort:
    """Networks of one recipe, their optimiser, the running averages of their weights.

    Each has its own ``courses``, taken one after the other, a seed for its first weights
    and, unless that is None, the state that it goes on from. What chance does while they
    learn comes from one source for all.
    """

    def __init__(
        self,
        recipe: TrainRecipe,
        courses: Sequence[tuple[Course, ...]],
        distortion: Distortion,
        seeds: Sequence[int],
        starts: Sequence[State | None],
    ) -> None:
        self.recipe, self.device = recipe, courses[0][0].seen.device
        places = courses[0][0].places.shape[1]
        pairs = [
            _first(recipe, places, seed, start) for seed, start in zip(seeds, starts, strict=True)
        ]
        networks, imitators = [one for one, _ in pairs], [one for _, one in pairs]
        self.network = _network(recipe, abreast=len(pairs))
        self.network.load_state_dict(joined([one.state_dict() for one in networks]))
        self.imitator = Lines(self.network.pooled_size, places, len(pairs))
        self.imitator.load_state_dict(joined([one.state_dict() for one in imitators]))
        self.network.to(self.device)
        self.imitator.to(self.device)
        self._one = networks[0].to(self.device).eval()
        self._average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._draws = [Draw(recipe, parts, distortion) for parts in zip(*courses, strict=True)]
        self.total = sum(draw.steps for draw in self._draws)
        self._rates = torch.tensor(
            [one_cycle(step, self.total, recipe.peak_rate) for step in range(self.total)],
            device=self.device,
        )
        self._optimizer = self._new_optimizer()
        # of shape (1,): indexing by a number alone would wait for the device
        self._number = torch.zeros(1, dtype=torch.int64, device=self.device)
        self._loss = torch.zeros(len(pairs), device=self.device)
        self._warmed = [0] * len(self._draws)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._stream = torch.cuda.Stream() if self.device.type == "cuda" else None
        self._pool = torch.compile(Network.pooled, dynamic=False) if self._stream else None
        self.number = 0

    @property
    def losses(self) -> list[float]:
        """Each network's mean loss of the last hundred steps or so."""
        self._wait()
        known = 1.0 - (1.0 - _NEWEST) ** max(1, self.number)
        losses: list[float] = (self._loss / known).tolist()
        return losses

    def averages(self) -> list[Network]:
        """Return each network with its averaged weights."""
        self._wait()
        networks = []
        for state in parted(self._average, self.network.abreast):
            network = copy.deepcopy(self._one)  # making one would draw weights, by chance
            network.load_state_dict(state)
            networks.append(network)
        return networks

    def step(self) -> None:
        """Take the next step; on a GPU it is only begun."""
        place, first = 0, 0
        while self.number >= first + self._draws[place].steps:
            first += self._draws[place].steps
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

    def _wait(self) -> None:
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
        rate = self._rates.index_select(0, self._number)[0]
        for group in self._optimizer.param_groups:
            group["lr"].copy_(rate)
        with torch.no_grad():
            inputs, batch = self._draws[place].batch(self._number - first)
        losses = self._losses(inputs, batch)
        self._optimizer.zero_grad(set_to_none=False)
        losses.sum().backward()
        self._optimizer.step()
        decay = (1.0 + self._number) / (10.0 + self._number)
        self._follow(1.0 - decay.clamp(max=self.recipe.average)[0])
        self._loss += _NEWEST * (losses.detach() - self._loss)
        self._number += 1

    def _losses(self, inputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return each network's loss, shape (abreast,)."""
        size = (self.network.abreast, -1)
        pooled = self._pooled(inputs)
        outputs = {
            name: logits.unflatten(1, size).flatten(0, 1)
            for name, logits in self.network.logits(pooled).items()
        }
        told = self.imitator(pooled).unflatten(1, size).flatten(0, 1)
        missed = (told - batch["places"]).square().mean(1) * batch["speech"]
        missed = missed / batch["speech"].mean().clamp(min=1e-6)
        losses = losses_of(outputs, batch, self.recipe.speech_loss)
        losses = losses + self.recipe.imitation * missed
        return losses.view(len(inputs), self.network.abreast).mean(0)

    def _pooled(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the networks pool; on a GPU they are compiled, and maps are bfloat16."""
        self.network.train()
        if self._pool is None:
            return self.network.pooled(inputs)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            pooled = self._pool(self.network, inputs)
        return pooled.float()

    def _follow(self, share: torch.Tensor) -> None:
        """Let the averages of weights and running statistics follow the networks."""
        state = self.network.state_dict()
        moving = [name for name, value in state.items() if value.is_floating_point()]
        kept, new = [self._average[n] for n in moving], [state[n] for n in moving]
        moves = torch._foreach_sub(new, kept)
        torch._foreach_mul_(moves, share)
        torch._foreach_add_(kept, moves)

    def states(self) -> list[dict[str, Any]]:
        """Return for each network everything that going on needs."""
        self._wait()
        common = {"number": self.number, "random": _random(self.device)}
        parts = {name: parted(state, self.network.abreast) for name, state in self._kept().items()}
        return [
            {
                **common,
                "loss": loss.clone(),
                **{name: _copied(values[place]) for name, values in parts.items()},
            }
            for place, loss in enumerate(self._loss)
        ]

    def restore(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Go on where :meth:`states` was called, which all were at the same step."""
        whole = {name: joined([state[name] for state in states]) for name in self._kept()}
        self.network.load_state_dict(whole["network"])
        self.imitator.load_state_dict(whole["imitator"])
        self._average = whole["average"]
        self.number = int(states[0]["number"])
        self._number.fill_(self.number)
        self._loss = torch.stack([state["loss"] for state in states])
        for name, value in self._weights().items() if self.number else ():
            step = torch.tensor(float(self.number), device=self.device)
            moments = {kind: whole[kind][name] for kind in _MOMENTS}
            self._optimizer.state[value] = {"step": step, **moments}
        set_state = torch.cuda.set_rng_state if self._stream else torch.set_rng_state
        set_state(states[0]["random"].cpu())

    def _kept(self) -> dict[str, State]:
        state = self._optimizer.state
        known = {name: state[value] for name, value in self._weights().items() if value in state}
        return {
            "network": self.network.state_dict(),
            "imitator": self.imitator.state_dict(),
            "average": self._average,
            **{kind: {name: kept[kind] for name, kept in known.items()} for kind in _MOMENTS},
        }

    def _weights(self) -> dict[str, torch.nn.Parameter]:
        parts: dict[str, torch.nn.Module] = {"network": self.network, "imitator": self.imitator}
        return {
            f"{part}.{name}": value
            for part, module in parts.items()
            for name, value in module.named_parameters()
        }

    def _new_optimizer(self) -> torch.optim.Optimizer:
        groups = decay_groups(self.network, self.recipe.weight_decay)
        groups.append({"params": list(self.imitator.parameters()), "weight_decay": 0.0})
        rate, on_gpu = torch.tensor(1e-4, device=self.device), self.device.type == "cuda"
        return torch.optim.AdamW(groups, lr=rate, fused=True, capturable=on_gpu)


def _network(recipe: TrainRecipe, abreast: int = 1) -> Network:
    features = recipe_named(recipe.features)
    shape, dropout = recipe.shape, recipe.dropout
    return Network(features, classes=CLASSES, shape=shape, dropout=dropout, abreast=abreast)


def _first(
    recipe: TrainRecipe, places: int, seed: int, start: State | None
) -> tuple[Network, Lines]:
    """Return a network as it begins, and what will tell from it where the teacher places a view."""
    torch.manual_seed(seed)
    network = _network(recipe)
    if start is not None:
        network.load_state_dict(start)
    return network, Lines(network.pooled_size, places, 1)


def _copied(state: State) -> dict[str, torch.Tensor]:
    """Return a copy: a part of something larger would be saved with all of it."""
    return {name: value.clone() for name, value in state.items()}


def _random(device: torch.device) -> torch.Tensor:
    on_gpu = device.type == "cuda"
    state: torch.Tensor = torch.cuda.get_rng_state() if on_gpu else torch.get_rng_state()
    return state
