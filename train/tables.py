"""The figures of an evaluation as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def percent(value: float | None) -> str:
    """Write a share as a percentage with one digit; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def show(figures: dict[str, Any], console: Console) -> None:
    """Print one line per corpus, then recall by class, and accuracy over the seconds."""
    size_kb = figures["size_bytes"] / 1000
    console.print(
        f"{figures['model']} ({size_kb:.0f} kB) on {figures['split']}, unseen speakers, in %",
        highlight=False,
    )
    console.print(_headlines(figures["corpora"]))
    console.print(_recalls(figures["corpora"]))
    console.print(_seconds(figures["corpora"]))


def show_robustness(figures: dict[str, Any], console: Console) -> None:
    """Print what each condition costs, and how often there is an emotion where none is."""
    console.print(
        f"{figures['model']} on {figures['split']}, unseen speakers, in %; loss in points",
        highlight=False,
    )
    console.print(_losses(figures["conditions"]))
    console.print(_false_alarms(figures))


def _losses(conditions: list[dict[str, Any]]) -> Table:
    corpora = list(conditions[0]["corpora"])
    headings = [text for name in corpora for text in (f"{name} UAR", "loss")]
    table = _table("condition", *headings, "mean loss", "limit")
    for item in conditions:
        cards = [item["corpora"][name] for name in corpora]
        cells = [text for card in cards for text in (percent(card["uar"]), f"{card['loss']:.1f}")]
        limit = "" if item["limit"] is None else f"{item['limit']:.0f}"
        table.add_row(item["title"], *cells, f"{item['mean_loss']:.1f}", limit)
    return table


def _false_alarms(figures: dict[str, Any]) -> Table:
    table = _table("where nobody means anything", "minutes", "emotions", "an hour", "most in")
    for name, told in figures["non_speech"].items():
        rate = told["emotions_per_hour"]
        worst = ", ".join(f"{item['name']} ({item['emotions']})" for item in told["worst"][:4])
        minutes = f"{told['seconds'] / 60:.1f}"
        hourly = "-" if rate is None else f"{rate:.1f}"
        table.add_row(name.replace("_", " "), minutes, str(told["emotions"]), hourly, worst)
    readers = {"reading aloud": "read_speech", "held-out readers": "held_out_read_speech"}
    for name, who in readers.items():
        read = figures[who]
        strong = f"{percent(read['strong_share'])} % of judged time angry, fearful or disgust"
        table.add_row(name, f"{read['seconds'] / 60:.1f}", "", "", strong)
    return table


def _headlines(cards: dict[str, Any]) -> Table:
    table = _table(
        "corpus", "classes", "clips", "no speech", "UAR", "95 % by speaker", "WA", "macro F1",
        "ECE", "surer half", "crowd UAR",
    )  # fmt: skip
    for name, card in cards.items():
        low, high = card["uar_interval"]
        table.add_row(
            name,
            str(len(card["classes"])),
            str(card["clips"]),
            str(card["no_speech"]),
            percent(card["uar"]),
            f"{percent(low)} to {percent(high)}",
            percent(card["accuracy"]),
            percent(card["macro_f1"]),
            percent(card["calibration_error"]),
            "-" if card["surest_half_gain"] is None else f"+{percent(card['surest_half_gain'])}",
            percent(card.get("crowd", {}).get("uar")),
        )
    return table


def _recalls(cards: dict[str, Any]) -> Table:
    """Return recall by class and, in brackets, how often it is said were classes balanced."""
    labels = list(dict.fromkeys(label for card in cards.values() for label in card["classes"]))
    table = _table("recall (said)", *labels)
    for name, card in cards.items():
        cells = [
            f"{percent(card['recalls'][label])} ({percent(card['output_shares'][label])})"
            if label in card["recalls"]
            else ""
            for label in labels
        ]
        table.add_row(name, *cells)
    return table


def _seconds(cards: dict[str, Any]) -> Table:
    entries = next(iter(cards.values()))["over_time"]
    headings = ["whole" if item["seconds"] is None else f"{item['seconds']} s" for item in entries]
    table = _table("UAR after", *headings)
    for name, card in cards.items():
        table.add_row(name, *(percent(item["uar"]) for item in card["over_time"]))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
