"""The microphone: bit for bit what was played, every loss in its place, no end unnoticed."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import InputDevice
from rt_ser.audio.microphone import Doorbell, MicrophoneSource
from rt_ser.audio.recorder import AUDIO, AUDIO_AFTER_OVERFLOW, Record
from rt_ser.audio.source import ClosedSource
from rt_ser.errors import DeviceError
from rt_ser.types import F32, I16, RATE_HZ, AudioChunk
from tests import strategies as some
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

needs_microphone = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def record(source: MicrophoneSource, seconds: float) -> list[AudioChunk]:
    """Read an open source for a while."""
    chunks = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        chunk = source.read(0.1)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def record_playing(
    microphone: VirtualMicrophone, samples: I16, *, channel: str = "first"
) -> list[AudioChunk]:
    """Play into the microphone and record all of it, with silence before and after."""
    with MicrophoneSource(channel=channel) as source:
        chunks = record(source, microphone.play(samples) + 1.0)
        assert source.counters.dropped_samples == source.counters.overflows == 0
    return chunks


def joined(chunks: list[AudioChunk]) -> F32:
    """Join chunks, having checked that nothing is missing."""
    position = 0
    for chunk in chunks:
        assert (chunk.start, chunk.gap) == (position, 0)
        position = chunk.stop
    return np.concatenate([chunk.samples for chunk in chunks])


def loud_noise(seconds: float) -> I16:
    """Noise without a nought in it, so that its two ends are found in a recording."""
    samples = np.random.default_rng(5).integers(1, 20_000, round(seconds * RATE_HZ))
    return (samples * np.random.default_rng(6).choice([-1, 1], len(samples))).astype(np.int16)


def test_a_16_khz_recording_comes_back_bit_for_bit(virtual_microphone: VirtualMicrophone) -> None:
    samples = loud_noise(2.0)
    chunks = record_playing(virtual_microphone, samples)
    heard = joined(chunks)
    sounding = np.flatnonzero(heard)
    assert len(sounding) == len(samples)
    expected = samples.astype(np.float32) / np.float32(32_768)
    assert heard[sounding[0] : sounding[-1] + 1].tobytes() == expected.tobytes()
    assert {len(chunk.samples) for chunk in chunks} == {480}


def test_capture_times_follow_the_samples(virtual_microphone: VirtualMicrophone) -> None:
    with MicrophoneSource() as source:
        assert source.name == "default (vmic)"
        chunks = record(source, 1.0)
        age_s = time.monotonic() - moments_s(chunks)[-1]
    assert 0.0 <= age_s < 0.3
    stops_s = np.array([chunk.stop / RATE_HZ for chunk in chunks])
    # The time of day at the stream's start, as each chunk has it: of one mind but for jitter.
    assert np.std(np.array(moments_s(chunks)) - stops_s) < 0.05


@needs_microphone
@pytest.mark.parametrize(("channel", "levels"), [("first", (0.4, 0.0)), ("mix", (0.2, 0.2))])
def test_a_48_khz_stereo_microphone(channel: str, levels: tuple[float, float]) -> None:
    """Left holds one tone and right another: which of them is heard tells the channel."""
    seconds = np.arange(48_000) / 48_000
    tones_hz = (500, 3_000)
    frames = np.stack([0.4 * np.sin(2 * np.pi * hertz * seconds) for hertz in tones_hz], axis=1)
    with VirtualMicrophone(rate_hz=48_000, channels=2) as microphone:
        chunks = record_playing(microphone, (frames * 32_767).astype(np.int16), channel=channel)
    heard = joined(chunks)
    first = np.flatnonzero(np.abs(heard) > 0.05)[0]
    middle = heard[first + 2_000 : first + 2_000 + RATE_HZ // 2]
    spectrum = 2 * np.abs(np.fft.rfft(middle)) / len(middle)
    bins = [hertz * len(middle) // RATE_HZ for hertz in tones_hz]
    assert spectrum[bins] == pytest.approx(levels, abs=0.002)


@needs_microphone
def test_values_that_are_no_numbers_become_silence() -> None:
    with VirtualMicrophone(sample_format="float32le") as microphone:
        samples = np.full(RATE_HZ // 2, 0.25, dtype=np.float32)
        samples[1_000:1_150] = np.nan
        samples[1_150:1_200] = 1e30
        with MicrophoneSource() as source:
            heard = joined(record(source, microphone.play(samples) + 1.0))
            replaced = source.counters.replaced_frames
    assert np.isfinite(heard).all()
    assert replaced == 200
    assert np.count_nonzero(heard) == len(samples) - 200


def moments_s(chunks: list[AudioChunk]) -> list[float]:
    """When each chunk's last sample was captured."""
    return [chunk.captured_at for chunk in chunks if chunk.captured_at is not None]


def test_a_late_reader_skips_to_fresh_audio(virtual_microphone: VirtualMicrophone) -> None:
    with MicrophoneSource(max_age_s=1.0) as source:
        before = record(source, 0.3)[-1]
        time.sleep(1.5)
        chunk = record(source, 0.1)[0]
        counters = source.counters
    assert chunk.start == before.stop + chunk.gap
    elapsed_s = moments_s([chunk])[0] - moments_s([before])[0]
    assert elapsed_s > 1.0
    assert (chunk.stop - before.stop) / RATE_HZ == pytest.approx(elapsed_s, abs=0.1)
    assert counters.dropped_samples == chunk.gap
    assert counters.gaps == 1


def test_a_full_ring_drops_the_newest_and_says_where(
    virtual_microphone: VirtualMicrophone,
) -> None:
    with MicrophoneSource(ring_s=0.5, max_age_s=60.0) as source:
        record(source, 0.3)
        time.sleep(1.0)
        chunks = record(source, 0.7)
        counters = source.counters
    gaps = [chunk.gap for chunk in chunks if chunk.gap]
    assert len(gaps) == counters.gaps > 0
    assert sum(gaps) == counters.dropped_samples > 0.3 * RATE_HZ
    assert all(after.start == before.stop + after.gap for before, after in pairwise(chunks))
    # The ring's half second was recorded at once; after the loss the clock agrees again.
    elapsed_s = moments_s(chunks)[-1] - moments_s(chunks)[0]
    assert (chunks[-1].stop - chunks[0].stop) / RATE_HZ == pytest.approx(elapsed_s, abs=0.1)


def test_closing_wakes_a_waiting_reader(virtual_microphone: VirtualMicrophone) -> None:
    source = MicrophoneSource(block_ms=200)
    source.open()
    with virtual_microphone.hanging():
        record(source, 0.3)
        threading.Timer(0.1, source.close).start()
        started = time.monotonic()
        with pytest.raises(ClosedSource):
            source.read(5.0)
        assert time.monotonic() - started < 2.5  # it would wait for 5 s
        source.close()


def test_a_microphone_can_be_opened_again(virtual_microphone: VirtualMicrophone) -> None:
    source = MicrophoneSource("pulse")
    for _ in range(2):
        with source:
            assert record(source, 0.3)[0].start == 0
        with pytest.raises(ClosedSource):
            source.read(0.1)


def test_an_unknown_name_is_refused(virtual_microphone: VirtualMicrophone) -> None:
    with pytest.raises(DeviceError, match="no input device is called 'webcam': 'pulse \\(vmic\\)'"):
        MicrophoneSource("webcam").open()


def test_reading_before_opening_is_refused() -> None:
    source = MicrophoneSource("pulse")
    with pytest.raises(ClosedSource, match="pulse: not open"):
        source.read(0.1)
    source.close()


DEVICE = InputDevice(
    index=0, name="test", hostapi="ALSA", rate_hz=48_000, channels=2, is_default=True
)
BLOCK = 480


def deliver(
    capture: Capture, number: int, *, overflow: bool = False, late_frames: int = 0
) -> None:
    """Hand a capture the block that PortAudio would, ``number`` blocks into the stream."""
    adc_s = 50.0 + (number * BLOCK + late_frames) / DEVICE.rate_hz
    kind = AUDIO_AFTER_OVERFLOW if overflow else AUDIO
    content = some.noise(BLOCK, 2, seed=number).tobytes()
    capture.take(Record(kind, content, 0, time.monotonic(), adc_s, adc_s + 0.03))


def test_an_overflow_is_a_loss_of_what_the_converters_clock_jumped() -> None:
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    deliver(capture, 0)
    deliver(capture, 1, overflow=True, late_frames=777)
    assert capture.overflows == 1
    assert capture.ring.read(BLOCK).lost == 0
    assert capture.ring.read(BLOCK).lost == 777


@pytest.mark.parametrize(("jump", "lost"), [(0, 1), (-50_000, 1), (10**9, 48_000)])
def test_an_overflow_without_a_sensible_clock_still_is_a_loss(jump: int, lost: int) -> None:
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    deliver(capture, 0)
    deliver(capture, 1, overflow=True, late_frames=jump)
    capture.ring.read(BLOCK)
    assert capture.ring.read(BLOCK).lost == lost


def test_what_the_recorder_had_no_room_for_is_a_loss() -> None:
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    deliver(capture, 0)
    content = some.noise(BLOCK, 2).tobytes()
    capture.take(Record(AUDIO, content, 777, time.monotonic(), 50.03, 50.06))
    assert capture.ring.read(BLOCK).lost == 0
    assert capture.ring.read(BLOCK).lost == 777


def test_the_moment_of_capture_allows_for_the_drivers_lag() -> None:
    """PortAudio says that the block's first frame is 30 ms old: its last one is 20 ms old."""
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    before_s = time.monotonic()
    deliver(capture, 0)
    assert before_s - 0.021 < capture.captured_at(BLOCK) < time.monotonic() - 0.019
    assert capture.captured_at(BLOCK) - capture.captured_at(0) == pytest.approx(0.010)


def test_a_clock_of_another_kind_is_believed_in_its_growth_only() -> None:
    """Some drivers count from elsewhere: what they say at first is then no lag."""
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    for number, lag_s in enumerate((500.0, 500.0, 501.25)):
        before_s = time.monotonic()
        block = some.noise(BLOCK, 2).tobytes()
        capture.take(Record(AUDIO, block, 0, time.monotonic(), 50.0, 50.0 + lag_s))
        assert capture.callbacks == number + 1
    assert capture.lag_s == capture.max_lag_s == pytest.approx(1.25)
    after_s = time.monotonic()
    assert before_s - 1.241 < capture.captured_at(3 * BLOCK) < after_s - 1.239


def test_the_lag_behind_a_sound_server_is_followed() -> None:
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    deliver(capture, 0)
    assert capture.lag_s == pytest.approx(0.03)
    block = some.noise(BLOCK, 2).tobytes()
    capture.take(Record(AUDIO, block, 0, time.monotonic(), 50.0, 50.7))
    assert capture.max_lag_s == pytest.approx(0.7)


def test_a_doorbell_rung_before_or_during_the_wait_is_heard_once() -> None:
    bell = Doorbell()
    bell.ring()
    bell.ring()
    assert waited_s(bell, 2.0) < 1.0
    assert waited_s(bell, 0.1) >= 0.1
    threading.Timer(0.05, bell.ring).start()
    assert waited_s(bell, 2.0) < 1.0


def waited_s(bell: Doorbell, timeout_s: float) -> float:
    """Wait, and return for how long it was."""
    started = time.monotonic()
    bell.wait(timeout_s)
    return time.monotonic() - started


def test_a_block_is_looked_for_when_it_is_due() -> None:
    capture = Capture(DEVICE, block_ms=100, ring_s=1.0)
    deliver(capture, 0)
    assert 0.0 < capture.pause_s() <= 0.101
    time.sleep(0.101)
    assert 0.003 <= capture.pause_s() <= 0.03


def test_a_microphone_that_hangs_is_looked_at_ever_more_seldom() -> None:
    capture = Capture(DEVICE, block_ms=10, ring_s=1.0)
    looks = 0
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        time.sleep(capture.pause_s())
        looks += 1
    assert 5 < looks < 80


def test_a_block_is_read_soon_after_it_came(virtual_microphone: VirtualMicrophone) -> None:
    with MicrophoneSource() as source:
        record(source, 0.5)
        waits_s = []
        for _ in range(60):
            if source.read(0.2) is not None:
                waits_s.append(time.monotonic() - source._capture._came_s)
    assert len(waits_s) > 50
    assert np.median(waits_s) < 0.05


@needs_microphone
@pytest.mark.parametrize(
    ("rate_hz", "channels", "sample_format"),
    [
        (8_000, 1, "s16le"), (22_050, 8, "s16le"), (44_100, 3, "s24le"), (96_000, 5, "float32le"),
        (192_000, 2, "s24le"),
    ],
)  # fmt: skip
def test_any_rate_format_and_number_of_channels(
    rate_hz: int, channels: int, sample_format: str
) -> None:
    """A tone comes out as that tone, at its level and as long as it was."""
    seconds = np.arange(rate_hz) / rate_hz
    tone = (0.4 * np.sin(2 * np.pi * 500 * seconds)).astype(np.float32)
    layout = {"rate_hz": rate_hz, "channels": channels, "sample_format": sample_format}
    # Not the mean: the server, which spreads the tone, leaves the bass channel out.
    with VirtualMicrophone(**layout) as microphone, MicrophoneSource(channel="first") as source:
        chunks = record(source, microphone.play(tone) + 1.0)
        native = source._capture.device
        assert (native.rate_hz, native.channels) == (rate_hz, channels)
        assert source.counters.dropped_samples == 0
    heard = joined(chunks)
    sounding = np.flatnonzero(np.abs(heard) > 0.02)
    assert sounding[-1] - sounding[0] == pytest.approx(RATE_HZ, abs=100)
    middle = heard[sounding[0] + 2_000 : sounding[0] + 2_000 + RATE_HZ // 2]
    spectrum = 2 * np.abs(np.fft.rfft(middle)) / len(middle)
    assert int(np.argmax(spectrum)) == 250
    assert spectrum[250] == pytest.approx(0.4, abs=0.002)
