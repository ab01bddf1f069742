"""What Prometheus is told: the same figures, balanced, to this machine only."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rt_ser.errors import OutputError
from rt_ser.outputs.metrics import HOST, MetricsServer, exposition
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.testing import FakeClassifier, ScriptedSource
from rt_ser.types import F32
from tests.isolation import environment
from tests.vmic import VirtualMicrophone
from tests.vmic import virtual_microphone as virtual_microphone

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def runner(demo_samples: F32) -> StreamRunner:
    """A stream that has ended."""
    source = ScriptedSource(demo_samples, gaps={9_000: 4_800}, is_live=True)
    with StreamRunner(source, Pipeline(FakeClassifier())) as runner:
        runner.wait(30.0)
    return runner


def ask(port: int, path: str = "/metrics", host: str = "localhost", method: str = "GET") -> tuple[
    int, str, str
]:
    """Return status, content type and text of an answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def values(text: str) -> dict[str, float]:
    """Read the text format: name with labels -> value."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def check_balance(told: dict[str, float]) -> None:
    """Check that every sample is accounted for."""
    parts = ["judged_samples_total", "gated_samples_total", "dropped_samples_total"]
    known = sum(told[f"rt_ser_{part}"] for part in parts) + told["rt_ser_pending_samples"]
    assert told["rt_ser_captured_samples_total"] == known > 0


def test_the_figures_are_those_of_the_stream(runner: StreamRunner) -> None:
    text = exposition(runner)
    told, stats = values(text), runner.stats
    check_balance(told)
    assert told["rt_ser_dropped_samples_total"] == stats.dropped_samples == 4_800
    assert told["rt_ser_gaps_total"] == 1
    assert told['rt_ser_state{state="silence"}'] == 1
    assert sum(value for name, value in told.items() if "state=" in name) == 1
    assert set(re.findall(r"^# TYPE (\S+) (?:counter|gauge)$", text, re.MULTILINE)) == {
        name.split("{")[0] for name in told
    }
    assert text.count("# HELP") == text.count("# TYPE")


def test_a_scraper_gets_them_and_nobody_else(runner: StreamRunner) -> None:
    with MetricsServer(runner, port=0) as server:
        status, kind, text = ask(server.port)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert text == exposition(runner) or "rt_ser_audio_age_seconds" in text
        assert ask(server.port, host=f"127.0.0.1:{server.port}")[0] == 200
        assert ask(server.port, "/")[0] == 404
        assert ask(server.port, host="evil.example")[0] == 403
        assert ask(server.port, method="POST")[0] == 501
    with pytest.raises(OSError, match="refused"):
        ask(server.port)


def test_it_listens_on_the_loopback_only(runner: StreamRunner) -> None:
    with MetricsServer(runner, port=0) as server:
        assert server._server.server_address[0] == "127.0.0.1"


def test_somebody_who_says_nothing_holds_nothing_up(runner: StreamRunner) -> None:
    with MetricsServer(runner, port=0) as server, socket.create_connection((HOST, server.port)):
        assert ask(server.port)[0] == 200
        started = time.monotonic()
    assert time.monotonic() - started < 1.0


def test_a_port_that_is_taken_is_said(runner: StreamRunner) -> None:
    with (
        MetricsServer(runner, port=0) as server,
        pytest.raises(OutputError, match=rf"127\.0\.0\.1:{server.port}: Address already in use"),
    ):
        MetricsServer(runner, port=server.port)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def listen(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start to listen."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "rt_ser", "listen", *arguments],
        cwd=folder, env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_metrics(port: int) -> dict[str, float]:
    """Ask until there is audio."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        try:
            told = values(ask(port)[2])
        except OSError:
            told = {}
        if told.get("rt_ser_captured_samples_total", 0) > 8_000:
            return told
        time.sleep(0.1)
    raise AssertionError("no metrics")


@pytest.mark.parametrize("hangs", [False, True])
def test_a_service_tells_its_counters_and_ends_on_sigterm(
    virtual_microphone: VirtualMicrophone, tmp_path: Path, hangs: bool
) -> None:
    """The real program, as a service runs it: the end takes a second, whatever the device does."""
    port = free_port()
    process = listen(tmp_path, "--jsonl", "out.jsonl", "--metrics-port", str(port))
    try:
        check_balance(wait_for_metrics(port))
        if hangs:
            with virtual_microphone.hanging():
                time.sleep(1.5)
                told = values(ask(port)[2])
                assert told['rt_ser_state{state="stale"}'] == 1
                check_balance(told)
                ended_s, errors = end(process)
        else:
            ended_s, errors = end(process)
    finally:
        process.kill()
    assert process.returncode == 0
    assert ended_s < 2.0  # 0.3 s where nothing else runs
    summary = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])
    counters = summary["counters"]
    assert summary["type"] == "summary"
    assert counters["pending_samples"] == 0
    known = [counters[f"{part}_samples"] for part in ("judged", "gated", "dropped")]
    assert counters["captured_samples"] == sum(known)
    assert ("warning: microphone 'default (vmic)' hangs" in errors) == hangs
    assert "Traceback" not in errors


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a system without such signals")
def test_a_service_is_muted_and_unmuted_by_signals(
    virtual_microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    port = free_port()
    process = listen(tmp_path, "--jsonl", "out.jsonl", "--metrics-port", str(port))
    try:
        wait_for_metrics(port)
        for number, state in ((signal.SIGUSR1, "muted"), (signal.SIGUSR2, "silence")):
            process.send_signal(number)
            deadline = time.monotonic() + 10.0
            while values(ask(port)[2])[f'rt_ser_state{{state="{state}"}}'] != 1:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        told = values(ask(port)[2])
        check_balance(told)
        assert told["rt_ser_muted_samples_total"] > 4_800  # the hold-off of 0.3 s at least
        end(process)
    finally:
        process.kill()
    states = [
        event["state"]
        for event in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
        if event["type"] == "state"
    ]
    assert states[-2:] == ["muted", "silence"]


def end(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Ask the program to end; return how long that took and its messages."""
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    ended_s = time.monotonic() - started
    print(f"ended after {ended_s:.2f} s")
    return ended_s, errors
