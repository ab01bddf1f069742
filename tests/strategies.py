"""What property tests draw from: samples, ways to cut them, native layouts."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rt_ser.audio.source import EndOfStream
from rt_ser.testing import ScriptedSource
from rt_ser.types import F32, AudioChunk

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)


def cuts(length: int, *, most: int = 12) -> st.SearchStrategy[list[int]]:
    """Positions at which ``length`` samples are cut into chunks, some of them empty."""
    return st.lists(st.integers(0, length), max_size=most).map(sorted)


def chunks_of(samples: F32, positions: list[int]) -> list[F32]:
    """Cut samples (or frames) at positions; the parts in order make the whole."""
    return np.split(samples, positions)


def chunk_sizes(*, largest: int = 2_000, most: int = 20) -> st.SearchStrategy[list[int]]:
    """Sizes of chunks, to be repeated as often as needed."""
    return st.lists(st.integers(1, largest), min_size=1, max_size=most)


def chunks_by_size(samples: F32, sizes: list[int]) -> list[F32]:
    """Cut samples into chunks of the given sizes, repeated; the last may be shorter."""
    rounds = -(-len(samples) // sum(sizes)) if len(samples) else 0
    stops = list(accumulate(sizes * rounds))
    return [part for part in np.split(samples, stops) if len(part)]


def noise(length: int, channels: int = 1, *, seed: int = 0) -> F32:
    """Gaussian noise of -14 dBFS, shape (length, channels), float32."""
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((length, channels))).astype(np.float32)


def rates_hz() -> st.SearchStrategy[int]:
    """Native rates, the usual ones and odd ones."""
    return st.sampled_from(RATES_HZ) | st.integers(8_000, 192_000)


def channels() -> st.SearchStrategy[int]:
    """Native channel counts."""
    return st.integers(1, 8)


def pcm_arrays(dtype: type[np.generic]) -> st.SearchStrategy[np.ndarray]:
    """Arrays of every value that a PCM type can hold, shape (n, channels)."""
    shapes = st.tuples(st.integers(0, 40), st.integers(1, 8))
    options = {} if np.issubdtype(dtype, np.integer) else {"allow_nan": False}
    elements = arrays.from_dtype(np.dtype(dtype), **options)
    return shapes.flatmap(lambda shape: arrays.arrays(dtype, shape, elements=elements))


def gaps(length: int, *, most: int = 4) -> st.SearchStrategy[dict[int, int]]:
    """Losses at random places: position in ``length`` samples -> samples lost just before it."""
    return st.dictionaries(st.integers(0, length - 1), st.integers(1, 20_000), max_size=most)


def scripted(
    samples: F32, sizes: list[int], lost: dict[int, int] | None = None
) -> list[AudioChunk]:
    """Cut samples into chunks of the given sizes, repeated, with losses between them."""
    source = ScriptedSource(samples, sizes, gaps=lost)
    source.open()
    chunks = []
    while True:
        try:
            chunk = source.read(0.0)
        except EndOfStream:
            return chunks
        assert chunk is not None
        chunks.append(chunk)
