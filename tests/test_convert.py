"""Conversion: the same bits however the input is cut, the exact length, the right sound."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.audio.convert import Chunker, Converter, samples_at, to_mono
from rt_ser.audio.pcm import RawFormat, decode_pcm, first_unusable, to_float32
from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ, AudioChunk
from tests import strategies as some


def convert(converter: Converter, parts: list[F32]) -> F32:
    """Push parts, flush, and join what comes out."""
    return np.concatenate([*(converter.push(part) for part in parts), converter.flush()])


@settings(max_examples=60, deadline=None)
@given(st.data(), some.rates_hz(), some.channels(), st.sampled_from(["first", "mix"]))
def test_any_cutting_gives_the_same_bits(
    data: st.DataObject, rate_hz: int, channels: int, channel: str
) -> None:
    frames = some.noise(rate_hz // 8 + 77, channels, seed=rate_hz)
    converter = Converter(rate_hz, channels, channel=channel)
    whole = convert(converter, [frames])
    parts = some.chunks_of(frames, data.draw(some.cuts(len(frames))))
    assert convert(converter, parts).tobytes() == whole.tobytes()
    assert len(whole) == samples_at(len(frames), rate_hz)


@pytest.mark.parametrize("rate_hz", [*some.RATES_HZ, 4_000, 384_000])
def test_sample_by_sample_gives_the_same_bits(rate_hz: int) -> None:
    frames = some.noise(1_500, seed=rate_hz)
    converter = Converter(rate_hz, 1)
    whole = convert(converter, [frames])
    assert convert(converter, list(frames[:, None])).tobytes() == whole.tobytes()


@given(some.rates_hz(), st.integers(0, 700))
@settings(deadline=None)
def test_the_length_law_holds_for_any_length(rate_hz: int, length: int) -> None:
    frames = some.noise(length)
    assert len(convert(Converter(rate_hz, 1), [frames])) == samples_at(length, rate_hz)
    assert abs(samples_at(length, rate_hz) - length * RATE_HZ / rate_hz) <= 0.5


def test_sixteen_kilohertz_pass_through_bit_for_bit() -> None:
    frames = some.noise(1_000)
    converter = Converter(RATE_HZ, 1)
    assert converter.push(frames).tobytes() == frames.tobytes()
    assert len(converter.flush()) == 0


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 192_000])
def test_streaming_equals_resampling_at_once(rate_hz: int) -> None:
    frames = some.noise(rate_hz, seed=3)
    streamed = convert(Converter(rate_hz, 1), some.chunks_by_size(frames, [331]))
    at_once = soxr.resample(frames[:, 0], rate_hz, RATE_HZ, quality="HQ")
    assert len(streamed) == len(at_once)
    np.testing.assert_allclose(streamed, at_once, atol=2e-6)


@pytest.mark.parametrize("rate_hz", [11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_stays_that_tone_in_its_place(rate_hz: int) -> None:
    """Amplitude within 0.01 dB and no delay: the filter's lag is made up for."""
    frequency_hz = 1_000
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz) / rate_hz).astype(np.float32)
    converted = convert(Converter(rate_hz, 1), [tone])
    expected = np.sin(2 * np.pi * frequency_hz * np.arange(len(converted)) / RATE_HZ)
    middle = slice(1_000, -1_000)
    np.testing.assert_allclose(converted[middle], expected[middle], atol=1e-3)


def test_what_lies_above_half_the_rate_is_filtered_out() -> None:
    rate_hz = 48_000
    tone = np.sin(2 * np.pi * 12_000 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    converted = convert(Converter(rate_hz, 1), [tone])
    assert np.abs(converted[1_000:-1_000]).max() < 1e-4


def test_the_first_channel_or_the_mean() -> None:
    frames = np.array([[0.5, -0.25], [0.25, 0.75]], dtype=np.float32)
    assert to_mono(frames, "first").tolist() == [0.5, 0.25]
    assert to_mono(frames, "mix").tolist() == [0.125, 0.5]


def test_a_pushed_array_is_not_kept() -> None:
    """A driver reuses its buffer: what comes out later must not change with it."""
    frames = some.noise(960)
    converter, other = Converter(48_000, 1), Converter(48_000, 1)
    buffer = frames[:500].copy()
    first = converter.push(buffer)
    buffer[:] = 1.0
    rest = converter.push(frames[500:])
    expected = convert(other, [frames])
    assert np.concatenate([first, rest, converter.flush()]).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("rate_hz", "channels", "channel", "message"),
    [
        (3_999, 1, "first", "audio: sample rate 3999 Hz is not supported: 4000 to 384000 Hz are"),
        (400_000, 1, "first", "audio: sample rate 400000 Hz is not supported"),
        (16_000, 0, "first", "audio: 0 channels are not supported: 1 to 8 are"),
        (16_000, 9, "first", "audio: 9 channels are not supported: 1 to 8 are"),
        (16_000, 2, "left", "channel='left' is not one of first, mix"),
    ],
)
def test_layouts_that_cannot_be_converted(
    rate_hz: int, channels: int, channel: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Converter(rate_hz, channels, channel=channel)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 1)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="give one column for each of 2 channels"):
        Converter(16_000, 2).push(np.zeros(shape, dtype=np.float32))


@settings(max_examples=60, deadline=None)
@given(some.rates_hz(), st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=8))
def test_numbering_follows_the_native_stream_through_losses(
    rate_hz: int, stretches: list[tuple[int, int]]
) -> None:
    """Chunks are contiguous but for their gaps, and the end is where the law puts it."""
    chunker = Chunker(Converter(rate_hz, 1))
    chunks: list[AudioChunk | None] = []
    native = losses = 0
    for length, lost in stretches:
        chunks.append(chunker.push(some.noise(length, seed=native)))
        if lost:
            chunks.append(chunker.lose(lost))
            losses += 1
        native += length + lost
    chunks += [chunker.push(some.noise(480)), chunker.flush()]
    native += 480
    position = 0
    for chunk in chunks:
        if chunk is not None:
            assert chunk.start == position + chunk.gap
            assert len(chunk.samples) > 0
            position = chunk.stop
    # Each stretch is rounded by itself, and a loss counts for a sample at least; the next
    # gap makes up for both.
    assert -1 <= position - samples_at(native, rate_hz) <= losses


def test_nothing_is_filtered_across_a_loss() -> None:
    rate_hz = 48_000
    before, after = some.noise(4_800, seed=1), some.noise(4_800, seed=2)
    chunker = Chunker(Converter(rate_hz, 1))
    parts = [chunker.push(before), chunker.lose(480), chunker.push(after), chunker.flush()]
    chunks = [chunk for chunk in parts if chunk is not None]
    split = next(index for index, chunk in enumerate(chunks) if chunk.gap)
    joined = np.concatenate([chunk.samples for chunk in chunks[split:]])
    assert joined.tobytes() == convert(Converter(rate_hz, 1), [after]).tobytes()
    assert chunks[split].gap == 160
    assert [chunk.gap for chunk in chunks if chunk is not chunks[split]] == [0] * (len(chunks) - 1)


def test_capture_time_allows_for_what_the_resampler_holds() -> None:
    chunker = Chunker(Converter(48_000, 1))
    for block in range(1, 40):
        chunk = chunker.push(some.noise(1_440), captured_at=100.0 + block * 0.03)
        if chunk is not None:
            assert chunk.captured_at == pytest.approx(100.0 + chunk.stop / RATE_HZ, abs=1e-4)
    tail = chunker.lose(480)
    assert tail is not None
    assert tail.captured_at == pytest.approx(100.0 + tail.stop / RATE_HZ, abs=1e-4)


def test_a_tail_was_captured_with_the_last_that_was_pushed() -> None:
    chunker = Chunker(Converter(48_000, 1))
    chunker.push(some.noise(1_440), captured_at=100.03)
    ends = [chunker.restart(Converter(44_100, 1), lost_s=1.0)]
    chunker.push(some.noise(1_440))
    ends.append(chunker.flush())
    assert [end and end.captured_at for end in ends] == [pytest.approx(100.03, abs=1e-4), None]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_whole_rate_may_come_as_a_float(rate_hz: int) -> None:
    """As sounddevice tells a device's own."""
    parts = [some.noise(rate_hz // 10, seed=seed) for seed in range(3)]
    told = Converter(float(rate_hz), 1)  # type: ignore[arg-type]
    assert convert(told, parts).tobytes() == convert(Converter(rate_hz, 1), parts).tobytes()
    assert str(RawFormat(rate_hz=float(rate_hz)).rate_hz) == str(rate_hz)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make", [lambda rate: Converter(rate, 1), lambda rate: RawFormat(rate_hz=rate)]
)
def test_a_rate_that_is_no_whole_number_is_refused(make: Callable[[float], object]) -> None:
    with pytest.raises(InputError, match=r"44100\.4 Hz is no whole number: give 44100$"):
        make(44_100.4)
    with pytest.raises(InputError, match=r"sample rate nan Hz is not supported"):
        make(float("nan"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
@given(data=st.data())
def test_raw_samples_decode_as_libsndfile_decodes_them(
    dtype: type[np.generic], data: st.DataObject
) -> None:
    samples = data.draw(some.pcm_arrays(dtype))
    sample_format = np.dtype(dtype).name
    subtypes = {
        "uint8": "PCM_U8", "int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT",
        "float64": "DOUBLE",
    }  # fmt: skip
    layout = RawFormat(channels=samples.shape[1], sample_format=sample_format)
    ours = decode_pcm(samples.tobytes(), layout)
    with np.errstate(over="ignore"):
        theirs, _ = soundfile.read(
            io.BytesIO(samples.tobytes()), format="RAW", subtype=subtypes[sample_format],
            samplerate=RATE_HZ, channels=samples.shape[1], dtype="float32", always_2d=True,
            endian="LITTLE",
        )  # fmt: skip
    assert ours.dtype == np.float32
    assert ours.tobytes() == theirs.tobytes()


@given(st.lists(st.integers(-(2**23), 2**23 - 1), max_size=50))
def test_24_bits_decode_exactly(values: list[int]) -> None:
    data = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    decoded = decode_pcm(data, RawFormat(sample_format="int24"))
    assert decoded[:, 0].tolist() == [value / 2**23 for value in values]


def test_full_scale_is_one() -> None:
    assert to_float32(np.array([-32768, 32767], dtype=np.int16)).tolist() == [-1.0, 32767 / 32768]
    assert to_float32(np.array([0, 128, 255], dtype=np.uint8)).tolist() == [-1.0, 0.0, 127 / 128]


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(InputError, match="dtype complex128 are not supported"):
        to_float32(np.zeros(1, dtype=np.complex128))
    with pytest.raises(InputError, match="'alaw' is not supported: give one of uint8, int16"):
        RawFormat(sample_format="alaw")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.2e9, -3.4e38])
@pytest.mark.parametrize("place", [0, 3, 9])
def test_the_first_value_that_is_no_sample_is_found(bad: float, place: int) -> None:
    frames = some.noise(10, 2)
    assert first_unusable(frames) is None
    frames[place:, 1] = bad
    np.testing.assert_equal(first_unusable(frames), (place, float(np.float32(bad))))


def test_32_bit_integers_taken_for_floats_are_loud_samples() -> None:
    assert first_unusable(np.array([[-(2**31), 2**31]], dtype=np.float32)) is None
    assert first_unusable(np.zeros((0, 2), dtype=np.float32)) is None


@settings(max_examples=30)
@given(some.rates_hz(), some.rates_hz(), st.floats(0.0, 1e5))
def test_another_stream_goes_on_as_if_it_were_the_first(
    before_hz: int, after_hz: int, lost_s: float
) -> None:
    """Nothing of the stream before is heard in the one after it; the numbering goes on."""
    first, second = some.noise(before_hz // 7, 1), some.noise(after_hz // 5, 1, seed=3)
    chunker = Chunker(Converter(before_hz, 1))
    chunks = [chunker.push(first), chunker.restart(Converter(after_hz, 1), lost_s=lost_s)]
    ends_at = chunker.position
    assert ends_at == samples_at(len(first), before_hz)
    chunks = [chunker.push(second), chunker.flush()]
    alone = Chunker(Converter(after_hz, 1))
    expected = [alone.push(second), alone.flush()]
    heard, wanted = ([c.samples for c in given if c is not None] for given in (chunks, expected))
    assert np.concatenate(heard).tobytes() == np.concatenate(wanted).tobytes()
    gap = next(c.gap for c in chunks if c is not None)
    assert gap == chunker.lost == max(1, round(lost_s * RATE_HZ))
    assert chunker.position == ends_at + gap + samples_at(len(second), after_hz)


@pytest.mark.parametrize(
    ("rate_hz", "off", "hours"),
    [(16_000, 200e-6, 10), (16_000, -200e-6, 10), (44_100, 200e-6, 1), (8_000, -200e-6, 1)],
)
def test_the_drift_of_a_devices_clock_does_not_accumulate(
    rate_hz: int, off: float, hours: int
) -> None:
    """Hours of a device that runs 200 ppm off, which is 7 s after ten.

    Positions keep to its samples to the last one, and the moment that a chunk tells stays
    that of the clock on the wall: what is told is never older than it says.
    """
    chunker = Chunker(Converter(rate_hz, 1))
    second = np.zeros((rate_hz, 1), np.float32)
    second_s = 1 / (1 + off)  # what the device takes for as many samples
    for number in range(1, hours * 3_600 + 1):
        now_s = number * second_s
        chunk = chunker.push(second, captured_at=now_s)
        assert chunk is not None
        assert chunk.captured_at is not None
        held = samples_at(number * rate_hz, rate_hz) - chunk.stop
        assert 0 <= held < 0.15 * RATE_HZ  # the more, the lower the rate
        assert now_s - chunk.captured_at == pytest.approx(held / RATE_HZ, abs=1e-9)
    chunker.flush()
    assert chunker.position == hours * 3_600 * RATE_HZ
