"""Work on many items over some processes, with a bar that tells the time left."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 8


def work_through(
    title: str,
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> list[Result]:
    """Return ``work`` of every item, in order; a bar goes to standard error.

    With more than one job, ``work`` must be a function that another process can import.
    """
    if jobs <= 1:
        return list(tracked(title, map(work, items), len(items), quiet=quiet))
    # Forking a process that runs threads, as TensorFlow's do, can hang the child.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        results = pool.map(work, items, chunksize=_CHUNK)
        return list(tracked(title, results, len(items), quiet=quiet))


def tracked(
    title: str, results: Iterable[Result], total: int, *, quiet: bool = False
) -> Iterator[Result]:
    """Yield ``total`` results, and show how far it is on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=total)
        for result in results:
            bar.advance(task)
            yield result
