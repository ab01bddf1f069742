"""Tables, captions and EmotionML from a recording, and the words where an extra is missing."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from rt_ser.cli import main
from rt_ser.cli.common import UsageError
from rt_ser.cli.outputs import FILES, NETWORKS, RECORDS, _makers
from rt_ser.errors import OutputError
from rt_ser.outputs.captions import AudacitySink, WebVttSink, timestamp
from rt_ser.outputs.emotionml import CATEGORIES, NAMESPACE, PAD, EmotionMlSink
from rt_ser.outputs.events import EventStream, estimate_columns, flatten
from rt_ser.outputs.extras import need
from rt_ser.outputs.parquet import GROUP_ROWS, ParquetSink
from rt_ser.outputs.sink import Event, Sink
from rt_ser.pipeline import Pipeline
from rt_ser.testing import FAKE_MANIFEST, LABELS, FakeClassifier
from rt_ser.types import F32, AudioChunk
from tests.isolation import isolate

EMO = f"{{{NAMESPACE}}}"
BIG6 = {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}


@pytest.fixture(scope="module")
def told(demo_samples: F32) -> list[Event]:
    """Every event of the bundled recording."""
    pipeline = Pipeline(FakeClassifier(says=("happy", "sad", "angry")))
    stream = EventStream("a talk & more.wav", FAKE_MANIFEST, live=False)
    values = pipeline.feed_events(AudioChunk(samples=demo_samples, start=0))
    values += pipeline.flush_events()
    events = [event for value in values for event in stream.of(value)]
    return [*events, stream.end(pipeline.summary())]


def of_type(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [dict(event) for event in events if event["type"] == kind]


def written(sink: Sink, events: list[Event]) -> None:
    for event in events:
        sink.write(event)
    sink.close()
    sink.close()


# Captions ---------------------------------------------------------------------------------


def test_webvtt_has_a_cue_an_utterance(told: list[Event], tmp_path: Path) -> None:
    path = tmp_path / "talk.vtt"
    written(WebVttSink(str(path)), told)
    head, *cues = path.read_text(encoding="utf-8").strip().split("\n\n")
    spoken = of_type(told, "utterance")
    assert head == "WEBVTT"
    assert len(cues) == len(spoken) >= 4
    for cue, utterance in zip(cues, spoken, strict=True):
        number, span, text = cue.split("\n")
        assert int(number) == utterance["utterance"]
        start, arrow, stop = span.split(" ")
        assert (arrow, start) == ("-->", timestamp(utterance["start_s"]))
        assert start < stop
        assert text.startswith(utterance["label"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "00:00:00.000"), (1.2345, "00:00:01.234"), (59.9996, "00:01:00.000"),
     (3_725.5, "01:02:05.500"), (360_000.0, "100:00:00.000")],
)  # fmt: skip
def test_times_are_those_of_webvtt(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


def test_audacity_labels_are_three_columns(told: list[Event], tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    written(AudacitySink(str(path)), told)
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(float(start), float(stop)) for start, stop, _ in rows] == [
        (one["start_s"], one["stop_s"]) for one in of_type(told, "utterance")
    ]


def test_a_label_of_ones_own_breaks_no_format(told: list[Event], tmp_path: Path) -> None:
    strange = of_type(told, "utterance")[0] | {"label": "a\tb\n--> <i>&"}
    written(WebVttSink(str(tmp_path / "a.vtt")), [strange])
    written(AudacitySink(str(tmp_path / "a.txt")), [strange])
    assert (tmp_path / "a.vtt").read_text().splitlines()[-2].startswith("a b --&gt; &lt;i&gt;&amp;")
    assert (tmp_path / "a.txt").read_text().count("\t") == 2


# EmotionML --------------------------------------------------------------------------------


def test_emotionml_says_what_the_events_say(told: list[Event], tmp_path: Path) -> None:
    path = tmp_path / "talk.emotionml"
    written(EmotionMlSink(str(path), labels=LABELS), told)
    root = ElementTree.parse(path).getroot()
    assert (root.tag, root.get("version")) == (f"{EMO}emotionml", "1.0")
    assert root.get("dimension-set") == PAD
    (vocabulary,) = root.findall(f"{EMO}vocabulary")
    assert root.get("category-set") == f"#{vocabulary.get('id')}"
    names = {item.get("name") for item in vocabulary}
    assert names == BIG6 | {"neutral"}
    emotions = root.findall(f"{EMO}emotion")
    for emotion, event in zip(emotions, of_type(told, "utterance"), strict=True):
        shares = {one.get("name"): float(one.get("confidence", "x")) for one in emotion[:-3]}
        assert set(shares) == names
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)
        assert shares["happiness"] == event["probs"]["happy"]
        calm = event["probs"]["calm"] + event["probs"]["neutral"]
        assert shares["neutral"] == pytest.approx(calm, abs=1e-6)
        pleasure, arousal, reference = emotion[-3:]
        for dimension, affect in ((pleasure, "valence"), (arousal, "arousal")):
            value = 2 * float(dimension.get("value", "x")) - 1
            assert value == pytest.approx(event[affect], abs=2e-6)
        place, fragment = reference.get("uri", "").split("#t=")
        assert unquote(place) == event["stream"]
        assert [*map(float, fragment.split(","))] == [
            pytest.approx(event[key], abs=1e-3) for key in ("start_s", "stop_s")
        ]


ALLOWED = {
    "emotionml": {"version", "category-set", "dimension-set", "appraisal-set",
                  "action-tendency-set"},
    "vocabulary": {"type", "id"},
    "item": {"name"},
    "emotion": {"version", "id", "start", "end", "duration", "time-ref-uri", "offset-to-start",
                "time-ref-anchor-point", "expressed-through", "category-set", "dimension-set"},
    "category": {"name", "value", "confidence"},
    "dimension": {"name", "value", "confidence"},
    "reference": {"uri", "role", "media-type"},
}  # fmt: skip
"""Elements that the recommendation has, and their attributes."""


def test_emotionml_keeps_to_the_recommendation(told: list[Event], tmp_path: Path) -> None:
    """Its rules in short: known elements and attributes, and scales from 0 to 1."""
    path = tmp_path / "talk.emotionml"
    written(EmotionMlSink(str(path), labels=LABELS), told)
    items = set()
    for element in ElementTree.parse(path).iter():
        name = element.tag.removeprefix(EMO)
        assert set(element.attrib) <= ALLOWED[name]
        for scale in {"value", "confidence"} & set(element.attrib):
            assert 0.0 <= float(element.attrib[scale]) <= 1.0
        if name == "item":
            items.add(element.get("name"))
        elif name == "category":
            assert element.get("name") in items
        elif name == "dimension":
            assert element.get("name") in {"pleasure", "arousal", "dominance"}
            assert "value" in element.attrib


def test_every_label_has_its_category() -> None:
    assert set(CATEGORIES) == set(LABELS)


def test_emotionml_stays_xml_whatever_names_hold(told: list[Event], tmp_path: Path) -> None:
    path = tmp_path / "odd.emotionml"
    event = of_type(told, "utterance")[0]
    event |= {"stream": "\udcff\x00<&\".wav", "probs": {'"<\x07&': 0.5, "sad": 0.5}}
    written(EmotionMlSink(str(path), labels=event["probs"]), [event])
    names = [one.get("name") for one in ElementTree.parse(path).iter(f"{EMO}category")]
    assert names == ['"<?&', "sadness"]


# Parquet ----------------------------------------------------------------------------------


def test_a_parquet_table_holds_what_the_estimates_hold(told: list[Event], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'rt-ser[parquet]'")
    path = tmp_path / "out.parquet"
    written(ParquetSink(str(path), labels=LABELS, live=False), told)
    table = parquet.read_table(path)
    assert table.column_names == estimate_columns(LABELS, live=False)
    assert table.to_pylist() == [flatten(event) for event in of_type(told, "estimate")]
    assert str(table.schema.field("probs_happy").type) == "double"
    assert str(table.schema.field("stop_sample").type) == "int64"


def test_a_long_table_is_written_in_groups(told: list[Event], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'rt-ser[parquet]'")
    path = tmp_path / "long.parquet"
    one = next(event for event in told if event["type"] == "estimate")
    written(ParquetSink(str(path), labels=LABELS, live=False), [one] * (GROUP_ROWS + 7))
    assert parquet.ParquetFile(path).metadata.num_row_groups == 2


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'rt-ser[parquet]'")
    with pytest.raises(OutputError, match=r"cannot write '.*x\.parquet': .*; give another path"):
        ParquetSink(str(tmp_path / "no" / "x.parquet"), labels=LABELS, live=False)


# The command line -------------------------------------------------------------------------


def test_every_option_has_its_sink() -> None:
    assert set(_makers(LABELS, live=False)) == {*RECORDS, *FILES, *NETWORKS}


@pytest.mark.parametrize(
    ("module", "extra", "target"),
    [("pyarrow", "parquet", "x.parquet"), ("paho", "mqtt", "mqtt://localhost"),
     ("wyoming", "wyoming", "tcp://localhost:9")],
)  # fmt: skip
def test_a_missing_extra_is_one_line_with_its_command(
    module: str, extra: str, target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # what an absent package looks like
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError) as caught:
        _makers(LABELS, live=False)[extra](target)
    assert str(caught.value).endswith(f" is missing: pip install 'rt-ser[{extra}]'")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 6


def test_what_is_there_is_imported() -> None:
    assert need("json", extra="none") is json


def test_one_replay_feeds_every_file(
    demo_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("pyarrow", reason="pip install 'rt-ser[parquet]'")
    flags = [f"--{name}={name}.out" for name in (*RECORDS, *FILES)]
    assert main(["replay", str(demo_recording), "--quiet", *flags]) == 0
    lines = [json.loads(line) for line in Path("jsonl.out").read_text().splitlines()]
    spoken = [line for line in lines if line["type"] == "utterance"]
    assert len(Path("audacity.out").read_text().splitlines()) == len(spoken) > 0
    assert Path("webvtt.out").read_text().count("-->") == len(spoken)
    assert Path("emotionml.out").read_text().count("</emotion>") == len(spoken)
    assert Path("parquet.out").read_bytes()[:4] == b"PAR1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_an_output_that_fails_keeps_no_other_from_being_closed(
    demo_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate(monkeypatch, tmp_path)
    arrow: Any = pytest.importorskip("pyarrow.parquet", reason="pip install 'rt-ser[parquet]'")
    pipe, table = tmp_path / "pipe", tmp_path / "table.parquet"
    os.mkfifo(pipe)

    def read_a_little() -> None:
        with pipe.open("rb") as reader:
            reader.read(1_200)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    words = ["--emotionml", str(pipe), "--parquet", str(table), "--wyoming", "tcp://127.0.0.1:1"]
    assert main(["replay", str(demo_recording), "--quiet", "--speed", "max", *words]) == 141
    reader.join()
    assert arrow.read_table(table).num_rows > 0
    assert "rt-ser-wyoming" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a.wav --webvtt a.wav", "--webvtt would overwrite the recording 'a.wav': "
         "give another path"),
        ("a.wav --parquet -", "--parquet needs a file: give a path"),
        ("a.wav --audacity=", "--audacity has an empty path: give one"),
        ("a.wav b.wav --webvtt x.vtt", "--webvtt is about one recording: give one, not 2"),
        ("a.wav --emotionml x --jsonl x", "--jsonl and --emotionml would both write to 'x': "
         "give one of them a path"),
    ],
)  # fmt: skip
def test_files_that_would_collide_are_refused(words: str, message: str) -> None:
    from rt_ser.cli.replay import run

    with pytest.raises(UsageError) as caught:
        run(words.split())
    assert str(caught.value) == message
