"""Every example runs, and does what its first lines promise."""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rt_ser import Analyzer, Utterance, replay
from rt_ser.testing import FakeClassifier
from rt_ser.types import F32, FRAME_SAMPLES, LogMel, Prediction

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = ("happy", "sad", "angry", "calm")


def example(name: str) -> ModuleType:
    """Load an example as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model() -> FakeClassifier:
    return FakeClassifier(says=SAYS)


@pytest.fixture(scope="module")
def turns(demo_samples: F32) -> list[Utterance]:
    analyzer = Analyzer(FakeClassifier(says=SAYS))
    events = analyzer.feed_events(demo_samples) + analyzer.flush_events()
    return [event for event in events if isinstance(event, Utterance)]


def test_the_agent_answers_and_does_not_listen_to_itself(
    model: FakeClassifier, demo_recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = example("agent_turn").converse(str(demo_recording), speed=12.0, model=model)
    assert agent.said
    stats = agent.stream.stats
    assert stats.muted_samples > 0
    assert stats.captured_samples == stats.judged_samples + stats.gated_samples
    printed = capsys.readouterr().out
    for word in ("s of speech", "valence", "arousal", "agent: ", "not listened for"):
        assert word in printed
    assert printed.count("agent: ") == len(agent.said)


def test_the_agent_hears_label_seconds_and_change(turns: list[Utterance]) -> None:
    reply_to = example("agent_turn").reply_to
    assert all(reply_to(turn) for turn in turns)
    assert turns[1].change is not None


class SlowAtFirst(FakeClassifier):
    """Thinks for a second about each of the first windows."""

    def predict(self, features: LogMel) -> Prediction:
        if len(self.seen) < 3:
            time.sleep(1.0)
        return super().predict(features)


def test_the_robot_never_waits(demo_recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However long the model takes, no look takes that long."""
    module, model = example("robot_loop"), SlowAtFirst(says=SAYS)
    shown, longest_s = module.run(replay(demo_recording, speed=6.0, model=model))
    assert longest_s < 1.0
    assert shown[0] == "-_-"
    assert set(shown) > {"-_-"}
    assert "dBFS" in capsys.readouterr().out


def test_callbacks(
    model: FakeClassifier, demo_recording: Path, demo_samples: F32, turns: list[Utterance],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    module = example("callbacks")
    module.from_a_stream(str(demo_recording), model)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [f"turn {one.number}" for one in turns]
    assert module.from_samples(demo_samples, FakeClassifier(says=SAYS)) == len(turns)


def test_asyncio_streams(
    model: FakeClassifier, demo_recording: Path, turns: list[Utterance],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    heard = asyncio.run(example("asyncio_streams").main([str(demo_recording)] * 2, model))
    assert heard == [len(turns)] * 2
    assert {line.split(":")[0] for line in capsys.readouterr().out.splitlines()} == {
        "ear 0",
        "ear 1",
    }


def test_a_plot(
    model: FakeClassifier, demo_recording: Path, turns: list[Utterance], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pip install matplotlib")
    module = example("replay_plot")
    path = tmp_path / "emotions.png"
    assert module.plot(module.heard(str(demo_recording), model), str(path)) == len(turns)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_sink_of_ones_own(
    model: FakeClassifier, demo_recording: Path, turns: list[Utterance], tmp_path: Path
) -> None:
    module = example("custom_sink")
    path = tmp_path / "diary.sqlite"
    diary = module.Diary(str(path))
    module.record(str(demo_recording), diary, model)
    diary.close()
    base = sqlite3.connect(path)
    rows = base.execute("SELECT start_s, stop_s, label FROM turns").fetchall()
    base.close()
    assert rows == [(one.start_s, one.stop_s, one.label) for one in turns]


def test_a_detector_of_ones_own(model: FakeClassifier, demo_recording: Path) -> None:
    assert 2 <= example("custom_vad").turns_of(str(demo_recording), model) <= 12


def test_a_detector_is_asked_about_whole_frames_at_a_good_level(demo_samples: F32) -> None:
    from rt_ser.pipeline import Pipeline
    from rt_ser.types import AudioChunk
    from rt_ser.vad import WebRtcDetector

    asked: list[F32] = []

    class Listening(WebRtcDetector):
        def __init__(self) -> None:
            super().__init__(2)

        def __call__(self, samples: F32) -> bool:
            asked.append(samples)
            return super().__call__(samples)

    def told(pipeline: Pipeline) -> list[Any]:
        events = pipeline.feed_events(AudioChunk(samples=demo_samples, start=0))
        return [event.stop for event in events]

    own = told(Pipeline(FakeClassifier(), detector=Listening))
    assert own == told(Pipeline(FakeClassifier()))
    assert {len(samples) for samples in asked} == {FRAME_SAMPLES}
    assert asked


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_tested_here(path: Path) -> None:
    assert f'example("{path.stem}")' in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["agent_turn", "robot_loop"])
def test_the_five_lines_are_five_lines_of_python(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    lines = text.split("In five lines:\n\n")[1].split("\n\n")[0].splitlines()
    assert len(lines) == 5
    compile("\n".join(line.removeprefix("    ") for line in lines), name, "exec")


def test_the_turn_hook_comes_in_time() -> None:
    """The benchmark's own verdict, over a few seconds."""
    done = subprocess.run(
        [sys.executable, "benchmarks/turn_latency.py", "--seconds", "6", "--fake"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert "ms from the decision to the hook" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout


