"""Manifests: what they must hold, and a clear word for each thing that can be wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.errors import ModelError
from rt_ser.manifest import MAX_MANIFEST_BYTES, MAX_MODEL_BYTES, read_manifest, read_model
from rt_ser.recipes import RECIPES

CONTENT = b"not run by these tests"

Edit = Callable[[dict[str, Any]], Any]


def tree() -> dict[str, Any]:
    """Everything that a manifest must have, and what it may."""
    return {
        "name": "mine",
        "labels": ["calm", "angry"],
        "rate_hz": 16_000,
        "features": RECIPES["logmel64-v1"].parameters(),
        "temperature": 1.5,
        "licence": "MIT",
        "sha256": hashlib.sha256(CONTENT).hexdigest().upper(),
        "summary": "made up",
        "data": [{"name": "nothing"}],
        "metrics": {"uar": 0.5},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model file that has no manifest yet."""
    (tmp_path / "mine.tflite").write_bytes(CONTENT)
    return tmp_path


def written(folder: Path, edit: Edit = lambda tree: None) -> Path:
    values = tree()
    edit(values)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """Return the message that reading gives, less the folder."""
    with pytest.raises(ModelError) as caught:
        read_model(read_manifest(path))
    assert caught.value.exit_code == 5
    return str(caught.value).replace(f"{path.parent}/", "")


def test_what_a_manifest_says(folder: Path) -> None:
    manifest = read_manifest(written(folder))
    assert (manifest.name, manifest.labels) == ("mine", ("calm", "angry"))
    assert manifest.recipe is RECIPES["logmel64-v1"]
    assert manifest.window_samples == 255 * 160 + 512
    assert (manifest.temperature, manifest.licence) == (1.5, "MIT")
    assert manifest.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (manifest.summary, manifest.data) == ("made up", ({"name": "nothing"},))
    assert (manifest.metrics, manifest.quantisation) == ({"uar": 0.5}, {})
    assert manifest.path == folder / "mine.tflite"
    assert read_model(manifest) == CONTENT


@pytest.mark.parametrize(
    "key", ["name", "labels", "rate_hz", "features", "temperature", "licence", "sha256"]
)
def test_what_is_missing_is_named(folder: Path, key: str) -> None:
    path = written(folder, lambda tree: tree.pop(key))
    assert refusal(path) == (
        f"mine.yaml: {key} is missing from the manifest: export the model again"
    )


def test_how_strangers_sound_is_read_in_the_order_of_labels(folder: Path) -> None:
    told = {"angry": -3.0, "calm": -0.5}
    manifest = read_manifest(written(folder, lambda tree: tree.update(ordinary=told)))
    assert manifest.ordinary == (-0.5, -3.0)
    assert read_manifest(written(folder)).ordinary is None


@pytest.mark.parametrize("key", ["summary", "data", "metrics"])
def test_what_may_be_left_out(folder: Path, key: str) -> None:
    assert read_manifest(written(folder, lambda tree: tree.pop(key))).name == "mine"


LABELS_RULE = "must be a list of two or more different names: export the model again"
WRONG: dict[str, tuple[Edit, str]] = {
    "one label": (lambda t: t.update(labels=["calm"]), f"labels=['calm'] {LABELS_RULE}"),
    "a label twice": (
        lambda t: t.update(labels=["calm", "calm"]), f"labels=['calm', 'calm'] {LABELS_RULE}",
    ),
    "labels as text": (lambda t: t.update(labels="calm"), f"labels='calm' {LABELS_RULE}"),
    "another rate": (
        lambda t: t.update(rate_hz=22_050),
        "rate_hz=22050 must be 16000: export the model again",
    ),
    "no temperature": (
        lambda t: t.update(temperature=0.0),
        "temperature=0.0 must be 0.05 to 20: export the model again",
    ),
    "a temperature that is no number": (
        lambda t: t.update(temperature=float("nan")),
        "temperature=nan must be 0.05 to 20: export the model again",
    ),
    "a temperature in words": (
        lambda t: t.update(temperature="warm"),
        "could not convert string to float: 'warm': export the model again",
    ),
    "an endless temperature": (
        lambda t: t.update(temperature=10**400),
        "int too large to convert to float: export the model again",
    ),
    "other features": (
        lambda t: t["features"].update(mels=80, hop_samples=128),
        "features of logmel64-v1 differ in hop_samples, mels: export the model again",
    ),
    "features by name only": (
        lambda t: t.update(features="logmel64-v1"),
        "features='logmel64-v1' must be a mapping of keys to values: export the model again",
    ),
    "strangers as a list": (
        lambda t: t.update(ordinary=[-1.0, -2.0]),
        "ordinary=[-1.0, -2.0] must be a mapping of each label to a number: export the model again",
    ),
    "strangers without a label": (
        lambda t: t.update(ordinary={"calm": -1.0}),
        "ordinary={'calm': -1.0} must be a mapping of each label to a number: "
        "export the model again",
    ),
    "strangers that are no number": (
        lambda t: t.update(ordinary={"calm": -1.0, "angry": float("nan")}),
        "ordinary={'angry': nan, 'calm': -1.0} must hold finite numbers, none above 0: "
        "export the model again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(folder: Path, case: str) -> None:
    edit, message = WRONG[case]
    assert refusal(written(folder, edit)) == f"mine.yaml: {message}"


def test_an_unknown_recipe_is_said(folder: Path) -> None:
    path = written(folder, lambda tree: tree["features"].update(name="logmel40-v7"))
    assert refusal(path) == (
        "feature recipe 'logmel40-v7' is unknown: this version knows logmel64-v1; "
        "install the rt-ser that the model was made for"
    )


CHAIN = b"".join(b"a%d: &a%d [*a%d]\n" % (at, at, at - 1) for at in range(1, 700))
"""Lists in lists, none of which is written deeply."""

BROKEN = {
    b"labels: [calm": " line 1: not valid YAML: expected ',' or ']', but got '<stream end>'",
    b"a: 1\na: b: c": " line 2: not valid YAML: mapping values are not allowed here",
    b"\xff\xfe\x00yes": ": not UTF-8 text (byte 0); save it as UTF-8",
    b"a: \x00": ": not valid YAML: unacceptable character #x0000: special characters are not "
    "allowed",
    b"made: 2026-99-99": ": not valid YAML: month must be in 1..12",
    b"[" * 5_000: ": nested too deeply: this is no manifest",
    b"!!python/object/apply:os.system [true]": (
        " line 1: not valid YAML: could not determine a constructor for the tag"
        " 'tag:yaml.org,2002:python/object/apply:os.system'"
    ),
    b"labels: !!bool foo": ": not valid YAML: a value is not what its tag (!!) says, or too large",
    b"labels: !!int ''": ": not valid YAML: a value is not what its tag (!!) says, or too large",
    b"made: !!timestamp x": ": not valid YAML: a value is not what its tag (!!) says, or too large",
    b"speed: " + b"1:" * 200 + b"1.0": (
        ": not valid YAML: a value is not what its tag (!!) says, or too large"
    ),
    b"a: &a {x: 1}\nb: {<<: *a}": (
        " line 2: not valid YAML: merge keys (<<) are not allowed: write out what they stand for"
    ),
    b"k: 0\na0: &a0 [0]\n" + CHAIN + b"k: *a699\n": ": nested too deeply: this is no manifest",
    b"": ": no mapping of keys to values",
    b"- calm": ": no mapping of keys to values",
    b"just text": ": no mapping of keys to values",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:12].decode(errors="replace"))
def test_what_is_no_manifest(folder: Path, text: bytes) -> None:
    path = folder / "mine.yaml"
    path.write_bytes(text)
    assert refusal(path) == f"mine.yaml{BROKEN[text]}: export the model again"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_and_nothing_worse(tmp_path_factory: Any, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text)
    with pytest.raises(ModelError, match=r"any\.yaml(:| line \d+:) "):
        read_manifest(path)


def test_a_few_lines_that_mean_a_billion_values_cost_nothing(folder: Path) -> None:
    path = folder / "mine.yaml"
    lines = [f"a{at}: &a{at} {{<<: [{', '.join([f'*a{at - 1}'] * 10)}]}}" for at in range(1, 10)]
    path.write_text("\n".join(["a0: &a0 {x: 1}", *lines]))
    began = time.process_time()
    assert "mine.yaml line 2: not valid YAML: merge keys (<<) are not allowed" in refusal(path)
    assert time.process_time() - began < 1.0


def test_a_manifest_is_small(folder: Path) -> None:
    path = folder / "mine.yaml"
    path.write_bytes(b"#" * (MAX_MANIFEST_BYTES + 1))
    assert refusal(path) == (
        f"mine.yaml: over {MAX_MANIFEST_BYTES} bytes: this is no manifest: export the model again"
    )
    with pytest.raises(ModelError, match=f"over {MAX_MANIFEST_BYTES} bytes"):
        read_manifest(Path("/dev/zero"))


def test_a_missing_manifest_says_what_it_is_for(folder: Path) -> None:
    assert refusal(folder / "mine.yaml") == (
        "mine.yaml: No such file or directory: a model needs its manifest (.yaml) beside it; "
        "see rt-ser models"
    )


def test_a_folder_is_no_manifest(folder: Path) -> None:
    (folder / "mine.yaml").mkdir()
    assert refusal(folder / "mine.yaml").startswith("mine.yaml: Is a directory: a model needs")


def test_a_missing_model_file(folder: Path) -> None:
    path = written(folder)
    (folder / "mine.tflite").unlink()
    assert refusal(path) == (
        "mine.tflite: No such file or directory: see rt-ser models for those installed"
    )


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"\0", b"N" + CONTENT[1:]])
def test_a_file_that_is_not_the_one_described(folder: Path, content: bytes) -> None:
    path = written(folder)
    (folder / "mine.tflite").write_bytes(content)
    assert refusal(path) == (
        "mine.tflite: SHA-256 differs from the manifest's: the file is damaged or another "
        "version; install or export it again"
    )


def test_a_file_too_large_is_not_even_read(folder: Path) -> None:
    path = written(folder)
    with (folder / "mine.tflite").open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)
    assert refusal(path) == f"mine.tflite: over {MAX_MODEL_BYTES} bytes: too large a model"
