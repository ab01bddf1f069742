"""What the project set out to reach, and what was measured of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from train.report.conditions import (
    READERS,
    UNHEARD,
    UNHEARD_READERS,
    condition_loss,
    false_alarms,
    hours_without_speech,
    mean,
    strong_while_reading,
)
from train.report.pool import (
    Card,
    Scored,
    Spread,
    calibration_error,
    calibration_errors,
    mean_of,
    scored,
    spread,
)

NOT_MEASURED = "not measured"

_FOLDS = {"ravdess": 5, "cremad": 5, "savee": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table of targets.

    ``value``, ``must`` and ``aim`` are in the unit that the title names; ``must`` is
    ``None`` where a figure had only to be published. ``detail`` says how many folds and
    seeds and how far they spread.
    """

    title: str
    must: float | None
    aim: float
    value: float | None
    detail: str = ""
    lower_is_better: bool = False
    digits: int = 1

    @property
    def verdict(self) -> str:
        """Say in words whether the target is reached."""
        if self.value is None:
            return NOT_MEASURED
        sign = -1.0 if self.lower_is_better else 1.0
        shown = round(self.value, self.digits)
        if sign * shown >= sign * self.aim:
            return "aim reached"
        if self.must is None:
            return "aim missed"
        if sign * shown >= sign * self.must:
            return "reached"
        return f"missed by {abs(shown - self.must):.{self.digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that was measured of one recipe."""

    evaluations: tuple[Card, ...]
    robustness: tuple[Card, ...]
    size_bytes: int | None = None
    multiply_accumulates: int | None = None
    enrollments: tuple[Card, ...] = ()

    def ravdess(self) -> list[Scored]:
        """Return RAVDESS's folds."""
        return scored(self.evaluations, "ravdess", ("joint", "ravdess_folds", "first"))

    def cremad_tfds(self) -> list[Scored]:
        """Return the nine validation actors of CREMA-D."""
        return scored(self.evaluations, "cremad", ("cremad_tfds", "first"))

    def cremad_folds(self) -> list[Scored]:
        """Return the five folds of CREMA-D."""
        return scored(self.evaluations, "cremad", ("joint", "cremad_5fold"))

    def cremad(self) -> list[Scored]:
        """Return the folds of CREMA-D, or else its nine validation actors."""
        return self.cremad_folds() or self.cremad_tfds()

    def savee(self) -> list[Scored]:
        """Return SAVEE's speakers, each left out."""
        return scored(self.evaluations, "savee", ("joint", "savee_loso"))

    def left_out(self, corpus: str) -> list[Scored]:
        """Return a corpus that was left out as a whole."""
        return scored(self.evaluations, corpus, ("loco",))

    def by_corpus(self) -> dict[str, list[Scored]]:
        """Return the folds that the plots are drawn from, for each corpus that was measured."""
        found = {"ravdess": self.ravdess(), "cremad": self.cremad(), "savee": self.savee()}
        return {name: items for name, items in found.items() if items}


def uar(card: Card) -> float | None:
    """Return a card's UAR in per cent."""
    return percent(card["uar"])


def percent(share: float | None) -> float | None:
    """Turn a share into per cent."""
    return None if share is None else 100.0 * share


def targets(sources: Sources) -> list[Measured]:
    """Return every line of the table of targets, measured or not."""
    return [
        *_accuracy(sources),
        *_quality(sources),
        *_cost(sources),
        *_false_alarms(sources),
        *_robustness(sources),
        _soon(sources),
    ]


def _accuracy(sources: Sources) -> list[Measured]:
    tfds, folds = sources.cremad_tfds(), sources.cremad_folds()
    return [
        _pooled("RAVDESS, 8 classes, five folds: UAR", 66, 72, sources.ravdess(), uar, folds=5),
        _pooled("CREMA-D, 6 classes, nine validation actors: UAR", 69, 74, tfds, uar, folds=1),
        _pooled("CREMA-D, 6 classes, five folds of 72 actors: UAR", 69, 74, folds, uar, folds=5),
        _against_crowd(sources.cremad(), folds=5 if folds else 1),
        _pooled("SAVEE, 7 classes, a speaker left out: UAR", 48, 60, sources.savee(), uar, folds=3),
        *(
            _pooled(
                f"{name} left out whole, 4 classes: UAR", 55, 65, sources.left_out(corpus), uar,
                folds=1,
            )
            for corpus, name in (("ravdess", "RAVDESS"), ("savee", "SAVEE"))
        ),
    ]  # fmt: skip


def _against_crowd(items: Sequence[Scored], *, folds: int) -> Measured:
    """Say beside the figure what the actors' own intentions would have."""

    def crowd(name: str) -> Callable[[Card], float | None]:
        return lambda card: percent(card.get("crowd", {}).get(name))

    title = "CREMA-D against the crowd where it agrees: UAR"
    measured = _pooled(title, 70, 78, items, crowd("uar"), folds=folds)
    limit = mean_of(items, crowd("intended_uar"))
    if limit is None:
        return measured
    return replace(measured, detail=f"{measured.detail}; what actors intended has {limit:.1f}")


def _pooled(
    title: str,
    must: float,
    aim: float,
    items: Sequence[Scored],
    figure: Callable[[Card], float | None],
    *,
    folds: int,
    lower_is_better: bool = False,
) -> Measured:
    pooled = spread(items, figure)
    return Measured(
        title=title,
        must=must,
        aim=aim,
        value=None if pooled is None else pooled.mean,
        detail="" if pooled is None else spread_text(pooled, folds=folds),
        lower_is_better=lower_is_better,
    )


def spread_text(pooled: Spread, *, folds: int) -> str:
    """Say how far a figure moves over folds and seeds, and whether folds are missing."""
    parts = []
    if pooled.folds < folds:
        parts.append(f"{pooled.folds} of {folds} folds")
    if pooled.folds > 1:
        parts.append(f"folds {pooled.low:.1f} to {pooled.high:.1f}")
    if pooled.seed_deviation is not None:
        parts.append(f"± {pooled.seed_deviation:.1f} over {pooled.seeds} seeds")
    elif pooled.seeds == 1:
        parts.append("one seed")
    return ", ".join(parts)


def _quality(sources: Sources) -> list[Measured]:
    lines = []
    for items, name in ((sources.ravdess(), "RAVDESS"), (sources.cremad(), "CREMA-D")):
        error = calibration_error(items)
        gain = mean_of(items, lambda card: percent(card["surest_half_gain"]))
        share = mean_of(items, lambda card: percent(max(card["output_shares"].values())))
        lines += [
            Measured(
                title=f"{name}: calibration error", must=0.05, aim=0.03, value=error, digits=3,
                lower_is_better=True, detail=_alone(calibration_errors(items)),
            ),
            Measured(title=f"{name}: gain on the surer half, points", must=16, aim=20, value=gain),
            Measured(
                title=f"{name}: largest share of one class said, %", must=30, aim=22, value=share,
                lower_is_better=True,
            ),
        ]  # fmt: skip
    return lines


def _alone(errors: Sequence[float]) -> str:
    """Say how well calibrated models are each for itself, where several were put together."""
    return f"each fold alone {errors[0]:.3f} to {errors[-1]:.3f}" if len(errors) > 1 else ""


def _cost(sources: Sources) -> list[Measured]:
    size, work = sources.size_bytes, sources.multiply_accumulates
    return [
        _int8(sources),
        _below("size, kB", 500, 250, None if size is None else size / 1000),
        _below("work per window, million MACs", 20, 10, None if work is None else work / 1e6),
    ]


def _int8(sources: Sources) -> Measured:
    """Return what int8 costs, a mean over models weighted by clips: on few it moves by chance."""
    known = [item for item in sources.evaluations if item.get("int8_loss") is not None]
    losses = [float(item["int8_loss"]) for item in known]
    clips = [sum(card["clips"] for card in item["corpora"].values()) for item in known]
    detail = f"{len(known)} models, {min(losses):.1f} to {max(losses):.1f}" if known[1:] else ""
    title = "int8 below float, points of UAR"
    return replace(_below(title, 0.5, 0.0, mean(losses, clips), detail), digits=2)


def _below(title: str, must: float, aim: float, value: float | None, detail: str = "") -> Measured:
    return Measured(
        title=title, must=must, aim=aim, value=value, detail=detail, lower_is_better=True
    )


def _false_alarms(sources: Sources) -> list[Measured]:
    models = sources.robustness
    unheard, everything = (false_alarms(models, kinds) for kinds in (UNHEARD, ("everything",)))
    reading, of_all = (strong_while_reading(models, who) for who in (UNHEARD_READERS, READERS))
    sounds = readers = ""
    if models and everything is not None and of_all is not None:
        hours = hours_without_speech(models, UNHEARD)
        least = f", so that up to {3 / hours:.0f} an hour are possible (95 %)"
        sounds = (
            f"in {60 * hours:.0f} minutes never trained on{'' if unheard else least}; "
            f"with noises trained on {everything:.1f}"
        )
        readers = (
            f"{models[0][UNHEARD_READERS]['recordings']} readers never trained on; "
            f"all {models[0][READERS]['recordings']}: {of_all:.1f}"
        )
    return [
        _below("confident emotions an hour in noise, silence, tones", 5, 0.5, unheard, sounds),
        _below("reading aloud: time called angry, fearful or disgust, %", 15, 5, reading, readers),
    ]


def _robustness(sources: Sources) -> list[Measured]:
    lines = []
    for name, title, must in (
        ("snr20", "noise at 20 dB", 2.0),
        ("snr10", "noise at 10 dB", 5.0),
        ("snr5", "noise at 5 dB", 10.0),
        ("quiet", "20 dB fainter", 1.0),
        ("loud", "10 dB louder, clipped", 1.0),
        ("telephone", "telephone band, 8 kHz", 5.0),
        ("room", "small room, 0.5 m away", 5.0),
        ("room1m", "small room, 1 m away", 5.0),
    ):
        loss = condition_loss(sources.robustness, name)
        lines.append(
            Measured(
                title=f"{title}: loss of UAR, points", must=must, aim=must / 2, value=loss,
                lower_is_better=True,
            )
        )  # fmt: skip
    return lines


def _soon(sources: Sources) -> Measured:
    """Return the share of the final UAR that is reached after 1.5 s, averaged over corpora."""
    shares = [mean_of(items, _share_after) for items in sources.by_corpus().values()]
    value = mean(shares)
    title = "UAR after 1.5 s, % of the whole clip's"
    return Measured(title=title, must=None, aim=90, value=value)


def _share_after(card: Card, seconds: float = 1.5) -> float | None:
    entries = {item["seconds"]: item["uar"] for item in card["over_time"]}
    return percent(entries[seconds] / entries[None]) if entries.get(None) else None
