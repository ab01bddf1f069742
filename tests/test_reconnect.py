"""A microphone that fails comes back by itself, and nobody is told old audio meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import InputDevice, find_again
from rt_ser.audio.keeper import Keeper
from rt_ser.audio.microphone import MicrophoneSource
from rt_ser.audio.soundserver import parse_recordings, recorded_numbers, source_names
from rt_ser.errors import DeviceError
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import Gap, StreamEvent
from rt_ser.testing import FakeClassifier
from rt_ser.types import RATE_HZ, AudioChunk, Estimate, State
from tests.vmic import FAULTS, VirtualMicrophone, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SEED = int(os.environ.get("RT_SER_SEED", random.SystemRandom().randrange(2**31)))
NOTICED_S = 1.0
BACK_S = 3.0
SLOWNESS_S = 2.0
"""What a machine that does other things at the same time is forgiven in a test."""


def until(is_so: Callable[[], object], limit_s: float) -> float:
    """Wait until something is so and return how many seconds it took."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < limit_s, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - started


class Listener:
    """A stream that is listened to, and all that it told."""

    def __init__(self, source: MicrophoneSource) -> None:
        self.runner = StreamRunner(source, Pipeline(FakeClassifier()), max_queue=10_000)

    @property
    def state(self) -> State | None:
        """State of the newest estimate."""
        latest = self.runner.latest
        return None if latest is None else latest.state

    @property
    def reason(self) -> str:
        """Why the state is what it is."""
        latest = self.runner.latest
        return "" if latest is None else latest.reason

    def hears(self) -> bool:
        """Whether fresh audio reaches the pipeline."""
        age_s = self.runner.audio_age_s
        return age_s is not None and age_s < 0.3 and self.state is not State.STALE

    def told(self) -> list[StreamEvent]:
        """End the stream and return everything that it told."""
        self.runner.stop()
        return list(self.runner.events())


def check_course(events: list[StreamEvent], lost_s: float) -> None:
    """Check that the stream went stale once, told one gap as long as that, and went on.

    A server that has just started gives a second of audio late: that is no part of the gap.
    """
    kinds = [event.state if isinstance(event, Estimate) else type(event) for event in events]
    stale = kinds.index(State.STALE)
    assert kinds.count(State.STALE) == kinds.count(Gap) == 1
    gap = events[stale + 1]
    assert isinstance(gap, Gap)
    assert kinds[stale + 2] is State.SILENCE
    assert lost_s - 2.0 < (gap.stop - gap.start) / RATE_HZ < lost_s + 0.5


def check_books(runner: StreamRunner) -> None:
    """Check that every sample is accounted for at the end."""
    stats = runner.summary().stats
    assert stats.captured_samples == (
        stats.judged_samples + stats.gated_samples + stats.dropped_samples
    )
    assert stats == runner.stats
    assert stats.pending_samples == 0
    assert stats.dropped_samples > 0
    assert stats.reopened == 1


@pytest.fixture
def microphone() -> object:
    """A microphone for one test, which may end its server."""
    with VirtualMicrophone() as microphone:
        yield microphone


def test_a_microphone_that_hangs_is_noticed_and_comes_back(microphone: VirtualMicrophone) -> None:
    listener = Listener(MicrophoneSource())
    with listener.runner as runner:
        until(listener.hears, 5.0)
        with microphone.hanging():
            hung_s = time.monotonic()
            noticed_s = until(lambda: listener.state is State.STALE, NOTICED_S + SLOWNESS_S)
            assert listener.reason.startswith("microphone 'default (vmic)' hangs: no audio for")
            assert runner.source.trouble == listener.reason
            time.sleep(1.0)
        back_s = until(listener.hears, BACK_S + SLOWNESS_S)
        lost_s = time.monotonic() - hung_s
        assert runner.source.trouble == ""
        events = listener.told()
    print(f"noticed after {noticed_s:.2f} s, back after {back_s:.2f} s")
    check_course(events, lost_s)
    check_books(runner)


def test_a_sound_server_that_dies_is_waited_for(microphone: VirtualMicrophone) -> None:
    listener = Listener(MicrophoneSource())
    with listener.runner as runner:
        until(listener.hears, 5.0)
        died_s = time.monotonic()
        microphone.kill_server()
        noticed_s = until(lambda: listener.state is State.STALE, NOTICED_S + SLOWNESS_S)
        assert "vanished: it was unplugged or the sound server ended" in listener.reason
        time.sleep(1.0)
        microphone.restart_server()
        back_s = until(listener.hears, BACK_S + SLOWNESS_S)
        lost_s = time.monotonic() - died_s
        events = listener.told()
    print(f"noticed after {noticed_s:.2f} s, back after {back_s:.2f} s")
    check_course(events, lost_s)
    check_books(runner)


def test_a_source_that_goes_is_not_replaced_in_silence(microphone: VirtualMicrophone) -> None:
    listener = Listener(MicrophoneSource("vmic"))
    with listener.runner as runner:
        until(listener.hears, 5.0)
        with microphone.unplugged():
            until(lambda: listener.state is State.STALE, 3.0 + SLOWNESS_S)
            assert "the sound server offers 'vspk.monitor' in its place" in listener.reason
            time.sleep(0.5)
        back_s = until(listener.hears, BACK_S + SLOWNESS_S)
        assert runner.source.name == "default (vmic)"
        listener.told()
    print(f"back after {back_s:.2f} s")
    check_books(runner)


def test_a_microphone_that_was_gone_for_a_moment_is_taken_again(
    microphone: VirtualMicrophone,
) -> None:
    """The sound server goes on with another source, though ours is there when one looks."""
    listener = Listener(MicrophoneSource())
    with listener.runner as runner:
        until(listener.hears, 5.0)
        keeper = listener.runner.source._keeper  # type: ignore[attr-defined]
        until(lambda: keeper._source_number, 3.0 + SLOWNESS_S)
        with microphone.unplugged():
            pass
        until(lambda: runner.stats.reopened, 3.0 + BACK_S + SLOWNESS_S)
        until(listener.hears, 1.0)
        assert runner.source.name == "default (vmic)"
        assert recorded_numbers(keeper.capture.process) == {source_names()["vmic"]}


def test_another_source_will_do_where_that_is_allowed(microphone: VirtualMicrophone) -> None:
    listener = Listener(MicrophoneSource("vmic", device_fallback=True))
    with listener.runner as runner:
        until(listener.hears, 5.0)
        with microphone.unplugged():
            until(lambda: "vspk.monitor" in runner.source.name, 3.0 + SLOWNESS_S)
            until(listener.hears, 1.0)
        assert not any(isinstance(event, Gap) for event in listener.told())


def test_the_numbering_goes_on_across_the_gap(microphone: VirtualMicrophone) -> None:
    source = MicrophoneSource()
    chunks: list[AudioChunk] = []
    with source:
        read_until(source, chunks, lambda: len(chunks) > 20)
        with microphone.hanging():
            read_until(source, chunks, lambda: source.trouble)
        read_until(source, chunks, lambda: any(chunk.gap for chunk in chunks[1:]))
        read_until(source, chunks, lambda: chunks[-1].gap == 0)
        chunks += source.finish()
    after = next(index for index, chunk in enumerate(chunks) if chunk.gap)
    position = 0
    for chunk in chunks:
        assert chunk.start == position + chunk.gap
        position = chunk.stop
    assert [index for index, chunk in enumerate(chunks) if chunk.gap] == [after]
    assert source.counters.captured_samples == position
    assert source.counters.dropped_samples == chunks[after].gap


def read_until(
    source: MicrophoneSource, chunks: list[AudioChunk], is_so: Callable[[], object]
) -> None:
    """Read into ``chunks`` until something is so."""
    deadline = time.monotonic() + 8.0
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        chunk = source.read(0.1)
        if chunk is not None:
            chunks.append(chunk)


def test_faults_at_random(microphone: VirtualMicrophone) -> None:
    """One after another on one stream: each is survived, and nothing piles up."""
    print(f"RT_SER_SEED={SEED} repeats it")
    chance = random.Random(SEED)
    listener = Listener(MicrophoneSource())
    with listener.runner as runner:
        until(listener.hears, 5.0)
        threads = threading.active_count()
        for _ in range(6):
            fault = chance.choice(FAULTS)
            print(fault)
            microphone.inflict(fault, chance.uniform(0.8, 2.5))
            until(listener.hears, BACK_S + SLOWNESS_S)
            time.sleep(0.2)
            assert threading.active_count() <= threads
            stats = runner.stats
            known = stats.judged_samples + stats.gated_samples + stats.dropped_samples
            assert stats.captured_samples == known + stats.pending_samples
        events = listener.told()
    stats = runner.summary().stats
    assert stats.pending_samples == 0
    assert stats.gaps == sum(isinstance(event, Gap) for event in events)
    assert stats.dropped_samples == sum(
        event.stop - event.start for event in events if isinstance(event, Gap)
    )


def test_closing_does_not_wait_for_a_microphone_that_hangs(microphone: VirtualMicrophone) -> None:
    source = MicrophoneSource()
    with source, microphone.hanging():
        until(lambda: source.trouble, 5.0)
        started = time.monotonic()
        source.close()
        assert time.monotonic() - started < 2.5  # the driver would never let go


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_recorder_that_is_killed_or_hangs_is_replaced(
    microphone: VirtualMicrophone, number: signal.Signals
) -> None:
    """Whatever PortAudio does to its process: crash, or spin for ever in its own abort."""
    listener = Listener(MicrophoneSource())
    with listener.runner as runner:
        until(listener.hears, 5.0)
        recorder = listener.runner.source._keeper.capture.process  # type: ignore[attr-defined]
        os.kill(recorder, number)
        until(lambda: listener.state is State.STALE, NOTICED_S + SLOWNESS_S)
        until(listener.hears, BACK_S + SLOWNESS_S)
        assert runner.stats.reopened == 1
        with pytest.raises(ProcessLookupError):
            os.kill(recorder, 0)


class Odd(Capture):
    """A capture that trips over something the first time it is asked for its process."""

    asked = 0

    @property
    def process(self) -> int:
        """The recorder's number, from the second time on."""
        Odd.asked += 1
        if Odd.asked == 1:
            raise RuntimeError("what nobody foresaw")
        return super().process


def test_what_nobody_foresaw_does_not_end_the_watch(
    microphone: VirtualMicrophone, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Capture] = []

    def make(device: InputDevice) -> Capture:
        if len(made) == 1:
            made.append(made[0])
            raise RuntimeError("can't start new thread")
        made.append(Odd(device, block_ms=30, ring_s=1.0))
        return made[-1]

    Odd.asked = 0
    keeper = Keeper(None, make, max_lag_s=1.5, may_fall_back=False)
    keeper.open()
    try:
        until(lambda: Odd.asked >= 2, 5.0 + SLOWNESS_S)
        os.kill(keeper.capture.process, signal.SIGKILL)
        until(lambda: keeper.reopened, BACK_S + SLOWNESS_S)
        assert not keeper.trouble
    finally:
        keeper.close()
    assert caplog.text.count("cannot ask the sound server: RuntimeError: what nobody") == 1
    assert caplog.text.count("cannot be opened again yet: RuntimeError: can't start") == 1
    until(lambda: keeper.capture.process == 0, 2.0)


def test_a_program_that_is_killed_leaves_no_microphone_open(
    microphone: VirtualMicrophone,
) -> None:
    program = "from rt_ser.audio.microphone import MicrophoneSource as M\n" + (
        "source = M()\nsource.open()\nprint(source._capture.process, flush=True)\ninput()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        recorder = int(listening.stdout.readline())
        os.kill(recorder, 0)
        listening.kill()
    until(lambda: not is_recording(recorder), 2.0 + SLOWNESS_S)


def test_signals_for_the_program_are_not_the_recorders(microphone: VirtualMicrophone) -> None:
    """A service manager sends them to every process of a service."""
    with MicrophoneSource() as source:
        until(lambda: source.read(0.1) is not None, 5.0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(source._capture.process, number)
        for _ in range(20):
            source.read(0.1)
        assert source.counters.reopened == 0
        assert not source.trouble


def is_recording(process: int) -> bool:
    """Tell whether a recorder still runs; one that nobody has buried does not."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text(encoding="ascii").split()[2]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_uses_portaudio_itself_is_no_hindrance(
    microphone: VirtualMicrophone,
) -> None:
    """An agent that speaks through sounddevice freezes the list of devices of its process."""
    import sounddevice

    sounddevice._terminate()  # what it lists is what was there when it was loaded
    sounddevice._initialize()
    source = MicrophoneSource()
    with sounddevice.RawInputStream(device="pulse"), source:
        until(lambda: source.read(0.1) is not None, 5.0)
        with microphone.hanging():
            until(lambda: source.trouble, 3.0 + SLOWNESS_S)
        until(lambda: source.counters.reopened, BACK_S + SLOWNESS_S)


def test_without_any_microphone_opening_fails_at_once(microphone: VirtualMicrophone) -> None:
    microphone.kill_server()
    time.sleep(0.2)
    with pytest.raises(DeviceError, match="no input device found"):
        MicrophoneSource().open()


def device(index: int, name: str, **options: str) -> InputDevice:
    """An input device as a list holds it."""
    return InputDevice(
        index=index, name=name, hostapi="ALSA", rate_hz=48_000, channels=1, is_default=False,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "index"),
    [
        (device(4, "USB Audio: - (hw:1,0)"), 7),
        (device(7, "USB Audio: - (hw:1,0)"), 7),
        (device(8, "Twin"), 8),
        (device(5, "Twin"), 3),
        (device(1, "pulse", server_source="yeti"), None),
        (device(1, "pulse", server_source="built-in"), 1),
        (device(3, "USB Audio"), 7),
        (device(7, "Webcam"), None),
    ],
)
def test_a_device_is_found_again_by_its_name(lost: InputDevice, index: int | None) -> None:
    inputs = [
        device(1, "pulse", server_source="built-in"), device(3, "Twin"), device(8, "Twin"),
        device(7, "USB Audio: - (hw:2,0)"), device(9, "USB Audio (hw:0,0)"),
    ]  # fmt: skip
    if lost.name == "USB Audio":
        index = 9
    found = find_again(inputs, lost)
    assert (None if found is None else found.index) == index


def test_recordings_are_told_apart_by_their_process() -> None:
    text = "".join(
        f'Source Output #{number}\n\tSource: {source}\n\tSource Latency: 0 usec\n'
        f'\t\tapplication.process.id = "{pid}"\n'
        for number, source, pid in ((1, 4, 77), (3, 6, 777), (9, 5, 77))
    )
    assert parse_recordings(text, 77) == {"4", "5"}
    assert parse_recordings(text, 7) == set()
