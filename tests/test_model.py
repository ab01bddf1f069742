"""The model runtime: exact quantisation, calibrated answers, and clear words for a bad file."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.errors import ModelError
from rt_ser.model import (
    TfliteClassifier,
    _Tensor,
    find_manifest,
    installed_models,
    softmax,
)
from rt_ser.testing import LABELS
from rt_ser.types import F32, LogMel
from tests import tiny_models as tiny

SIZE = (tiny.RECIPE.window_frames, tiny.RECIPE.mels)


def window(values: F32 | float) -> LogMel:
    full = np.broadcast_to(np.float32(values), SIZE)
    return LogMel(values=full, start=3, stop=9, utterance=2, recipe=tiny.RECIPE.name)


def random_window(seed: int = 0) -> LogMel:
    rng = np.random.default_rng(seed)
    noise, tilt = rng.uniform(-0.5, 0.5, SIZE), rng.uniform(-0.5, 0.5)
    return window((noise + np.linspace(-tilt, tilt, SIZE[1])).astype(np.float32))


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> TfliteClassifier:
    """A classifier of one layer, whose answers can be worked out."""
    folder = tmp_path_factory.mktemp("linear")
    return TfliteClassifier.load(tiny.write_model(folder, tiny.linear_model()))


def refusal(path: Path | str) -> str:
    """Return the message that loading gives, less the folder."""
    with pytest.raises(ModelError) as caught:
        TfliteClassifier.load(path)
    assert caught.value.exit_code == 5
    return str(caught.value).replace(f"{Path(path).parent}/", "")


# Quantisation -----------------------------------------------------------------------------


@given(
    st.floats(-4.0, 4.0, width=32), st.floats(2**-10, 2**-4, width=32), st.integers(-128, 127)
)
def test_quantising_rounds_to_the_nearest_step_and_stops_at_the_ends(
    value: float, scale: float, zero_point: int
) -> None:
    tensor = _Tensor(index=0, scale=scale, zero_point=zero_point)
    steps = tensor.quantise(np.array([value], np.float32))
    assert steps.dtype == np.int8
    lowest, highest = (-128 - zero_point) * scale, (127 - zero_point) * scale
    back = float(tensor.dequantise(steps)[0])
    assert abs(back - min(max(value, lowest), highest)) <= scale * 0.501


def test_full_scale_does_not_wrap_round() -> None:
    """Where 1.0 is half a step past the last one, as in every model with input -1 to 1."""
    tensor = _Tensor(index=0, scale=2.0 / 255.0, zero_point=-1)
    steps = tensor.quantise(np.array([-9.0, -1.01, -1.0, 0.0, 1.0, 1.01, 9.0], np.float32))
    np.testing.assert_allclose(steps, [-128, -128, -128, -1, 127, 127, 127], atol=1)


def test_input_beyond_the_range_is_its_end(linear: TfliteClassifier) -> None:
    for end in (-1.0, 1.0):
        at, past, far = (linear.predict(window(end * by)).probs for by in (1.0, 1.01, 99.0))
        np.testing.assert_array_equal(past, far)
        np.testing.assert_allclose(at, far, atol=0.05)
    assert linear.predict(window(1.0)).probs.argmax() == 7
    assert linear.predict(window(-1.0)).probs.argmax() == 0


# Answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_answer_is_what_can_be_worked_out(linear: TfliteClassifier, seed: int) -> None:
    """Up to a step of the output's quantisation."""
    features = random_window(seed)
    found = linear.predict(features)
    logits = tiny.logits_of(features.values, tiny.band_weights(len(LABELS)))
    relative = np.log(found.probs.astype(np.float64))
    expected = logits - np.log(np.exp(logits).sum())
    assert np.abs(relative - expected).max() < 1.5 * tiny.OUTPUT_SCALE
    (speech,) = tiny.logits_of(features.values, tiny.band_weights(1))
    assert math.log(found.speech_prob / (1.0 - found.speech_prob)) == pytest.approx(
        speech, abs=tiny.OUTPUT_SCALE
    )


def test_what_an_answer_holds(linear: TfliteClassifier) -> None:
    found = linear.predict(random_window())
    assert (found.start, found.stop, found.utterance) == (3, 9, 2)
    assert found.probs.shape == (len(LABELS),)
    assert found.probs.dtype == np.float32
    assert found.probs.sum() == pytest.approx(1.0, abs=1e-6)
    assert not found.probs.flags.writeable
    assert 0.0 < found.inference_ms < 1_000.0


def test_answers_do_not_depend_on_those_before(linear: TfliteClassifier) -> None:
    alone = [linear.predict(random_window(seed)).probs for seed in (1, 2, 1)]
    np.testing.assert_array_equal(alone[0], alone[2])
    assert (alone[0] != alone[1]).any()


def test_temperature_divides_the_logits(tmp_path: Path) -> None:
    content = tiny.linear_model()
    cold, warm = (
        TfliteClassifier.load(
            tiny.write_model(tmp_path, content, name=name, temperature=temperature)
        )
        for name, temperature in (("cold", 0.5), ("warm", 4.0))
    )
    sharp, flat = (np.log(model.predict(random_window()).probs) for model in (cold, warm))
    np.testing.assert_allclose(
        0.5 * (sharp - sharp.max()), 4.0 * (flat - flat.max()), atol=1e-4
    )


def test_without_a_speech_output_everything_is_speech(tmp_path: Path) -> None:
    content = tiny.linear_model(outputs=(len(LABELS),))
    model = TfliteClassifier.load(tiny.write_model(tmp_path, content))
    assert model.predict(random_window()).speech_prob == 1.0


def test_the_order_of_outputs_does_not_matter(linear: TfliteClassifier, tmp_path: Path) -> None:
    content = tiny.linear_model(outputs=(1, len(LABELS)))
    turned = TfliteClassifier.load(tiny.write_model(tmp_path, content))
    one, other = linear.predict(random_window()), turned.predict(random_window())
    np.testing.assert_array_equal(one.probs, other.probs)
    assert one.speech_prob == other.speech_prob


def test_threads_do_not_change_the_answer(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model())
    one, two = (TfliteClassifier.load(path, threads=n).predict(random_window()) for n in (1, 2))
    np.testing.assert_array_equal(one.probs, two.probs)


@settings(max_examples=50)
@given(st.lists(st.floats(-300.0, 300.0, width=32), min_size=2, max_size=9))
def test_softmax_is_a_distribution_in_the_same_order(logits: list[float]) -> None:
    probs = softmax(np.array(logits, np.float32))
    assert probs.sum() == pytest.approx(1.0, abs=1e-5)
    assert probs.min() >= 0.0
    assert probs[int(np.argmax(logits))] == probs.max()


# Bad files --------------------------------------------------------------------------------

NOT_A_MODEL = "tiny.tflite cannot be run (The model is not a valid Flatbuffer buffer): "


@pytest.mark.parametrize("cut", [1, 100, 5_000, 100_000])
def test_a_truncated_file_with_a_right_hash(tmp_path: Path, cut: int) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model()[:-cut])
    assert refusal(path) == f"{NOT_A_MODEL}export it again"


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_with_a_right_hash(tmp_path: Path, seed: int) -> None:
    content = np.random.default_rng(seed).bytes(3_000)
    assert refusal(tiny.write_model(tmp_path, content)) == f"{NOT_A_MODEL}export it again"
    marked = content[:4] + b"TFL3" + content[8:]
    assert refusal(tiny.write_model(tmp_path, marked)) == f"{NOT_A_MODEL}export it again"


def test_a_wrong_hash(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model())
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(path) == (
        "tiny.tflite: SHA-256 differs from the manifest's: the file is damaged or another "
        "version; install or export it again"
    )


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model(), labels=LABELS[:7])
    assert refusal(path) == (
        "tiny.tflite: outputs of [1, 8] values do not fit 7 labels in int8: "
        "export the model again"
    )


def test_an_output_too_many(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model(outputs=(8, 3, 1)))
    assert refusal(path) == (
        "tiny.tflite: outputs of [1, 3, 8] values do not fit 8 labels in int8: "
        "export the model again"
    )


def test_a_float_model(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model(is_float=True))
    assert refusal(path) == (
        "tiny.tflite: input (1, 256, 64, 1) float32 is not (1, 256, 64, 1) int8: "
        "export the model for features logmel64-v1"
    )


def test_a_model_for_other_features(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model(shape=(1, 128, 40, 1)))
    assert refusal(path) == (
        "tiny.tflite: input (1, 128, 40, 1) int8 is not (1, 256, 64, 1) int8: "
        "export the model for features logmel64-v1"
    )


# Which model ------------------------------------------------------------------------------


def test_the_shipped_model_loads_by_name_and_answers() -> None:
    model = TfliteClassifier.load("research")
    assert model.manifest.name == "research"
    assert model.manifest.labels == LABELS
    found = model.predict(random_window())
    assert found.probs.sum() == pytest.approx(1.0, abs=1e-6)
    assert 0.0 <= found.speech_prob <= 1.0
    assert model.manifest.path.stat().st_size <= 500_000


def test_every_installed_model_can_be_found_and_run() -> None:
    installed = list(installed_models())
    assert "research" in [manifest.name for manifest in installed]
    for manifest in installed:
        assert find_manifest(manifest.name) == manifest
        assert manifest.path.stem == manifest.name
        TfliteClassifier(manifest).predict(random_window())


def test_an_unknown_name_says_which_are_known() -> None:
    known = " or ".join(manifest.name for manifest in installed_models())
    with pytest.raises(ModelError) as caught:
        find_manifest("reserach")
    assert str(caught.value) == (
        f"model 'reserach' is not installed: choose {known}, "
        "or give the path of a .tflite file"
    )


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.tflite").endswith(
        "no such file; see rt-ser models for those installed"
    )
    assert refusal("no.tflite") == (
        "model no.tflite: no such file; see rt-ser models for those installed"
    )
    assert ": no such file; see rt-ser models" in refusal("m" * 300 + ".tflite")


def test_a_path_without_its_manifest(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, b"")
    path.with_suffix(".yaml").unlink()
    assert refusal(path) == (
        "tiny.yaml: No such file or directory: a model needs its manifest (.yaml) beside it; "
        "see rt-ser models"
    )


def test_a_path_may_be_text_or_a_path(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model())
    assert find_manifest(str(path)) == find_manifest(path)
    assert replace(find_manifest(path), path=path) == find_manifest(path)


# The runtime ------------------------------------------------------------------------------


def without_runtimes(repo_root: Path, folder: Path) -> str:
    """Load a model in a Python that finds packages in ``folder`` but no TFLite runtime."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('ai_edge_litert', 'tensorflow')))\n"
        "from rt_ser.errors import ModelError\n"
        "from rt_ser.interpreter import find_runtime\n"
        "try:\n    print(find_runtime().__module__)\n"
        "except ModelError as error:\n    print(error)\n"
    )
    path = os.pathsep.join((str(folder), str(repo_root)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


REMEDY = "install one with: pip install ai-edge-litert (or, on 32-bit ARM, tflite-runtime)"


def test_without_any_runtime_it_says_what_to_install(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "tflite_runtime.py").write_text("raise ImportError('not built for this machine')")
    said = without_runtimes(repo_root, tmp_path)
    assert said == f"no TFLite runtime is installed: {REMEDY}"


def test_the_old_runtime_is_refused_under_a_new_numpy(repo_root: Path, tmp_path: Path) -> None:
    """It imports, and then breaks when used in ways that look like a damaged model."""
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("class Interpreter:\n    pass\n")
    said = without_runtimes(repo_root, tmp_path)
    if int(np.__version__.split(".")[0]) >= 2:
        assert said == f"tflite-runtime needs numpy<2 and numpy is {np.__version__}: {REMEDY}"
    else:
        assert said == "tflite_runtime.interpreter"
