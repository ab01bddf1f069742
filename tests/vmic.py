"""A microphone for PortAudio on a machine that has none.

A PulseAudio server of our own, without system, session bus or sound card: a null sink
whose monitor is the default source. What is played into the sink is what PortAudio's
"pulse" device records, bit for bit where both are 16-bit.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import soundfile
from numpy.typing import NDArray

_PROGRAMS = ("pulseaudio", "pactl", "pacat", "parec")
_START_S = 15.0

FAULTS = ("hang", "short hang", "server died", "unplugged", "muted")


def missing() -> str | None:
    """Say why no virtual microphone can be had here, or None."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install pulseaudio pulseaudio-utils"
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        return f"no PortAudio: apt-get install libportaudio2 libasound2-plugins ({error})"
    return None


class VirtualMicrophone:
    """A PulseAudio server with one microphone, which hears what ``play`` plays.

    While it is entered, this process and the programs that it starts record from it.

    Parameters
    ----------
    rate_hz, channels, sample_format : int, int, str
        Layout of the microphone; the format in PulseAudio's words.
    """

    sink = "vspk"
    source = "vmic"

    def __init__(
        self, *, rate_hz: int = 16_000, channels: int = 1, sample_format: str = "s16le"
    ) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.sample_format = sample_format
        self._stack = contextlib.ExitStack()
        self.server_pid = 0

    @property
    def layout(self) -> list[str]:
        """The microphone's layout as options of pacat and parec."""
        return [
            "--raw", f"--rate={self.rate_hz}", f"--channels={self.channels}",
            f"--format={self.sample_format}",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vmic")))
            stack.enter_context(_environment(folder))
            self._start_server(folder, stack)
            self._keep_awake(stack)
            self._wait_until_it_records()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def play(self, samples: NDArray[Any]) -> float:
        """Start to play samples, shape (n,) or (n, channels); return how many seconds.

        The server plays them from its own memory: a player of ours would be starved on
        a busy machine, and the server would put silence in.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/played.wav"
            subtype = {"float32": "FLOAT", "int16": "PCM_16"}[samples.dtype.name]
            soundfile.write(path, samples, self.rate_hz, subtype=subtype)
            self.control("upload-sample", path, "played")
        self.control("play-sample", "played", self.sink)
        return len(samples) / self.rate_hz

    def control(self, *arguments: str) -> str:
        """Run pactl and return what it prints."""
        done = subprocess.run(
            ["pactl", *arguments], check=True, capture_output=True, text=True, timeout=10
        )
        return done.stdout.strip()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Make the microphone hang: callbacks stop and nothing else happens."""
        self.control("suspend-source", self.source, "1")
        try:
            yield
        finally:
            self.control("suspend-source", self.source, "0")

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Take the microphone away; the server then records from another source instead."""
        modules = self.control("list", "short", "modules").splitlines()
        rows = [line.split("\t") for line in modules]
        number, name, options = next(row for row in rows if row[1] == "module-remap-source")[:3]
        self.control("unload-module", number)
        try:
            yield
        finally:
            self.control("load-module", name, *options.split())

    def mute(self, is_muted: bool) -> None:
        """Switch the microphone off, as with the key on a headset."""
        self.control("set-source-mute", self.source, str(int(is_muted)))

    def kill_server(self) -> None:
        """Let the sound server die."""
        os.kill(self.server_pid, signal.SIGKILL)

    def restart_server(self) -> None:
        """Start the sound server anew, after it has died."""
        folder = Path(os.environ["XDG_RUNTIME_DIR"])
        for left in (folder / "native", folder / "pulse" / "pid"):
            left.unlink(missing_ok=True)
        self._start_server(folder, self._stack)
        self._keep_awake(self._stack)

    def inflict(self, fault: str, seconds: float) -> None:
        """Do something to the microphone for so long: one of ``FAULTS``."""
        if fault == "server died":
            self.kill_server()
            time.sleep(seconds)
            self.restart_server()
        elif fault == "muted":
            self.mute(True)
            time.sleep(seconds)
            self.mute(False)
        else:
            with self.unplugged() if fault == "unplugged" else self.hanging():
                time.sleep(0.2 if fault == "short hang" else seconds)

    def _start_server(self, folder: Path, stack: contextlib.ExitStack) -> None:
        rate = f"rate={self.rate_hz} channels={self.channels} format={self.sample_format}"
        script = folder / "vmic.pa"
        script.write_text(
            ".fail\n"
            f"load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1\n"
            f"load-module module-null-sink sink_name={self.sink} {rate}\n"
            f"load-module module-remap-source source_name={self.source} "
            f"master={self.sink}.monitor {rate} remix=no\n"
            f"set-default-sink {self.sink}\nset-default-source {self.source}\n",
            encoding="utf-8",
        )
        server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1",
             "--disable-shm=yes", "--realtime=no", "--high-priority=no",
             f"--log-target=newfile:{folder}/pulse.log"],
            env={**os.environ, "HOME": str(folder)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(_end, server)
        self.server_pid = server.pid
        deadline = time.monotonic() + _START_S
        while subprocess.run(["pactl", "info"], capture_output=True).returncode:
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError("pulseaudio did not start:\n" + _log(folder))
            time.sleep(0.05)

    def _keep_awake(self, stack: contextlib.ExitStack) -> None:
        """Play silence: an idle null sink renders up to 2 s at a time."""
        player = subprocess.Popen(
            ["pacat", "--playback", f"--device={self.sink}", "--latency-msec=10",
             "--client-name=keepalive", *self.layout, "/dev/zero"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(_end, player)

    def _wait_until_it_records(self) -> None:
        recorder = subprocess.Popen(
            ["parec", f"--device={self.source}", "--latency-msec=10", *self.layout],
            stdout=subprocess.PIPE,
        )
        assert recorder.stdout is not None
        with contextlib.closing(recorder.stdout):
            recorder.stdout.read(self.channels * self.rate_hz // 2)
            _end(recorder)


@contextlib.contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Point PulseAudio's clients, PortAudio among them, at a server in ``folder``."""
    (folder / "pulse").mkdir(mode=0o700)
    (folder / "client.conf").write_text("autospawn = no\nenable-shm = no\n", encoding="utf-8")
    ours = {
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_RUNTIME_PATH": f"{folder}/pulse",
        "PULSE_STATE_PATH": f"{folder}/pulse",
        "PULSE_SERVER": f"unix:{folder}/native",
        "PULSE_COOKIE": f"{folder}/cookie",
        "PULSE_CLIENTCONFIG": f"{folder}/client.conf",
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log(folder: Path) -> str:
    logs = sorted(folder.glob("pulse.log*"))
    return logs[0].read_text(encoding="utf-8", errors="replace")[-2000:] if logs else "no log"


@pytest.fixture(scope="module")
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    """A 16 kHz mono 16-bit microphone for a module, or a skip that says what is missing."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with VirtualMicrophone() as microphone:
        yield microphone
