"""A training recipe: everything that decides what a training run produces, as YAML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from rt_ser.config import shown
from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from train.corpora.clip import LABELS
from train.plan import Shape
from train.trees import is_count, is_names, is_number, is_numbers_by_name, read_tree

FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far examples are bent. Probabilities in [0, 1], levels in natural log of power.

    ``microphone`` is the share of windows heard by another microphone: a tilt and waves over
    the bands, normally distributed with ``microphone_tilt`` and ``microphone_waves``.
    ``denoise`` is the share whose own steady noise is taken out, ``telephone`` the share
    heard through one. ``contrast`` is by how much, in natural log, what lies above and below
    the speech level is spread further or less, as automatic gains do.
    """

    partial: float = 0.5
    shortest_s: float = 0.5
    stretch: float = 0.17
    mel_shift: float = 2.5
    tilt: float = 0.8
    equaliser: float = 0.5
    noise: float = 0.4
    lowest_snr_db: float = 0.0
    floor: float = 0.3
    band_limit: float = 0.05
    telephone: float = 0.0
    microphone: float = 0.0
    microphone_tilt: float = 2.0
    microphone_waves: float = 1.0
    denoise: float = 0.0
    contrast: float = 0.0
    reverb: float = 0.0
    reverb_most_db: float = 0.0
    noise_stretch: float = 0.5
    noise_mel_shift: float = 6.0
    time_masks: int = 2
    time_mask_rows: int = 24
    mel_masks: int = 2
    mel_mask_bands: int = 8
    mixup: float = 0.5
    mixup_alpha: float = 0.3
    babble: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """One recipe.

    ``corpus_weight`` is the relative share of examples drawn per clip; a corpus without
    one is left out. ``noise_share`` and ``read_share`` are the shares of examples that
    are no speech, and speech read aloud. The first ``short_share`` of steps see windows
    of ``short_frames`` only: they cost less, and the rest learns whole windows quickly.
    ``width`` to ``hidden`` are the network's :class:`train.plan.Shape`.
    ``start`` names the recipe whose network, of the same split and seed, this one goes on
    from; its own first weights if empty. In the end each weight, and each class's offset, is a
    mean, in which earlier recipes' networks have their ``earlier_shares`` and what is new has
    the rest (Wortsman et al. 2022): a little that is new, and little that is forgotten.
    ``stranger_offsets`` are taken away from classes' logits at export, in nats: by so much
    people of a corpus that was left out whole sound more like a class than they mean.
    So many ``views`` of each utterance are shown, to a teacher too if there is one, see
    :mod:`train.views`: ``teacher_share`` of each target is its opinion, and ``imitation``
    weighs the error in saying where it places the view. ``peers`` are recipes whose
    networks, of the same split and seed, are the teacher; if there are none, heads on a large
    encoder are, and of what these are fitted to crowds' votes have ``teacher_votes``.
    """

    name: str
    start: str = ""
    earlier_shares: dict[str, float] = field(default_factory=dict)
    stranger_offsets: dict[str, float] = field(default_factory=dict)
    features: str = "logmel64-v1"
    width: float = 1.0
    middle: int = 64
    high: int = 104
    blocks: int = 2
    reach: int = 5
    hidden: int = 0
    dropout: float = 0.3
    batch: int = 48
    epochs: int = 30
    epoch_examples: int = 7500
    peak_rate: float = 3e-3
    weight_decay: float = 0.03
    average: float = 0.997
    label_smoothing: float = 0.1
    vote_weight: float = 0.0
    class_balance: float = 0.5
    noise_share: float = 0.08
    read_share: float = 0.0
    short_share: float = 0.0
    short_frames: int = 256
    speech_loss: float = 0.2
    teacher_share: float = 0.0
    teacher_votes: float = 0.0
    imitation: float = 0.0
    views: int = 12
    peers: list[str] = field(default_factory=list)
    dev_speakers: int = 0
    corpus_weight: dict[str, float] = field(
        default_factory=lambda: {"ravdess": 1.6, "cremad": 1.0, "savee": 1.5, "tess": 0.35}
    )
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps that count as an epoch."""
        return self.epoch_examples // self.batch

    @property
    def shape(self) -> Shape:
        """The network's shape."""
        names = ("width", "middle", "high", "blocks", "reach", "hidden")
        return Shape(**{name: getattr(self, name) for name in names})

    @property
    def has_teacher(self) -> bool:
        """Whether anything is learnt from a teacher."""
        return self.teacher_share > 0 or self.imitation > 0

    @property
    def asks_encoder(self) -> bool:
        """Whether that teacher is a large encoder."""
        return self.has_teacher and not self.peers

    @property
    def corpora(self) -> frozenset[str]:
        """Corpora that are trained on."""
        return frozenset(self.corpus_weight)

    @property
    def earlier(self) -> frozenset[str]:
        """Recipes whose networks, of the same split and seed, must be there."""
        return frozenset({self.start} - {""} | set(self.earlier_shares) | set(self.peers))

    @property
    def courses(self) -> tuple[tuple[float, int], ...]:
        """Shares of all steps, one after the other, and the frames of the windows they see."""
        full = recipe_named(self.features).window_frames
        parts = ((self.short_share, min(self.short_frames, full)), (1.0 - self.short_share, full))
        return tuple((share, frames) for share, frames in parts if share > 0)


_FITTING: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    int: ("a whole number, 0 or more", is_count),
    float: ("a finite number", is_number),
    dict[str, float]: ("numbers by name, as in {tenth: 0.5}", is_numbers_by_name),
    list[str]: ("a list of names, as in [tenth]", is_names),
    Augmentation: ("its keys with values", lambda value: isinstance(value, dict)),
}
"""What a value of each type must be, and how that is told."""


def load_recipe(name: str) -> TrainRecipe:
    """Read ``train/recipes/NAME.yaml``, or a path to another file; all defaults if it is empty.

    Raises
    ------
    ConfigError
        If the file is missing or no YAML, or is refused by :func:`recipe_from`.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(item.stem for item in FOLDER.glob("*.yaml")))
        raise ConfigError(f"recipe={name!r} is not known: give one of {known}, or a .yaml file")
    mend = "write it as those in train/recipes are"
    tree = read_tree(path, kind="recipe", mend=mend, may_be_empty=True)
    return recipe_from({"name": path.stem, **tree}, source=path.name)


def recipe_from(tree: dict[str, Any], *, source: str) -> TrainRecipe:
    """Build a recipe from a mapping, as ``dataclasses.asdict`` gives one.

    Raises
    ------
    ConfigError
        If it has a key that no recipe has, a value of another type, no step in an epoch,
        shares of earlier networks that leave nothing to what is new, peers who teach nothing
        or should place views, too few views, or offsets of a class that there is not.
    """
    bent = tree.get("augmentation", {})
    _check_values(tree, TrainRecipe, source)
    _check_values(bent, Augmentation, source)
    recipe = TrainRecipe(**{**tree, "augmentation": Augmentation(**bent)})
    if not 0 < recipe.batch <= recipe.epoch_examples:
        raise ConfigError(
            f"{source}: batch={recipe.batch} must be 1 to epoch_examples={recipe.epoch_examples}"
        )
    shares = recipe.earlier_shares
    if not all(share > 0.0 for share in shares.values()) or sum(shares.values()) >= 1.0:
        raise ConfigError(
            f"{source}: earlier_shares={shares} must be above 0, and all together below 1"
        )
    if shares and not recipe.start:
        raise ConfigError(f"{source}: earlier_shares={shares} go with a start: say from which")
    if recipe.peers and (recipe.imitation or not recipe.teacher_share):
        raise ConfigError(
            f"{source}: peers={recipe.peers} have opinions and place no view: "
            "give a teacher_share, and imitation 0"
        )
    if not all(round(share * recipe.views) for share, _ in recipe.courses):
        raise ConfigError(
            f"{source}: views={recipe.views} are too few for short_share={recipe.short_share}: "
            "give more"
        )
    if not set(recipe.stranger_offsets) <= set(LABELS):
        raise ConfigError(
            f"{source}: stranger_offsets={recipe.stranger_offsets} must be of {', '.join(LABELS)}"
        )
    return recipe


def _check_values(tree: dict[str, Any], kind: type, source: str) -> None:
    """Raise ConfigError for keys that are not among a dataclass's, and values of other types."""
    types = get_type_hints(kind)
    if unknown := set(tree) - set(types):
        names = sorted(map(str, unknown))
        raise ConfigError(f"{source}: {names} unknown; keys are {sorted(types)}")
    for name, value in tree.items():
        wanted, fits = _FITTING[types[name]]
        if not fits(value):
            raise ConfigError(f"{source}: {name}={shown(value)} must be {wanted}")
