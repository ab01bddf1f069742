"""Settings: ranges, the three sources, their precedence, and the wording of refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.config import Settings, VadSettings, build, declarations, parse, sections
from rt_ser.errors import ConfigError
from rt_ser.settings_file import Given, from_environment, load, user_config_file, variable


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes) -> str:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file=path)
    return str(caught.value).replace(str(path), "FILE")


def test_defaults_are_inside_their_own_ranges() -> None:
    assert load(environ={"HOME": "/nonexistent"}).settings == Settings()
    for path, spec in declarations().items():
        assert spec.metadata["doc"], path


def test_every_section_says_its_own_name() -> None:
    for name, values in sections():
        assert values.section == name


def test_later_sources_win_and_every_value_knows_where_it_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, "vad:\n  mode: 1\n  hangover_s: 0.3\nestimate:\n  hop_s: 0.3\n")
    loaded = load(
        file=path,
        environ={"RT_SER_VAD_HANGOVER_S": "0.6", "RT_SER_ESTIMATE_HOP_S": "0.6"},
        flags=[Given(path="estimate.hop_s", text="0.9", origin="--estimate-hop-s")],
    )
    assert loaded.settings.vad.mode == 1
    assert loaded.settings.vad.hangover_s == 0.6
    assert loaded.settings.estimate.hop_s == 0.9
    assert loaded.origins["vad.mode"] == f"{path} line 2"
    assert loaded.origins["vad.hangover_s"] == "RT_SER_VAD_HANGOVER_S"
    assert loaded.origins["estimate.hop_s"] == "--estimate-hop-s"
    assert loaded.origins["vad.onset_frames"] == "default"


def test_values_take_the_declared_type(tmp_path: Path) -> None:
    path = write(tmp_path, "audio: {device: 2, block_ms: 20}\nui: {ascii: yes, timeline_s: 30}\n")
    settings = load(file=path).settings
    assert settings.audio.device == "2"
    assert settings.audio.block_ms == 20
    assert settings.ui.ascii is True
    assert isinstance(settings.ui.timeline_s, float)


@pytest.mark.parametrize("text", ["", "# nothing\n", "vad:\n", "audio:\n  device:\n", "---\n"])
def test_an_empty_file_section_or_device_means_the_default(tmp_path: Path, text: str) -> None:
    assert load(file=write(tmp_path, text)).settings == Settings()


REFUSED = [
    ("vad: {mode: 7}", "FILE line 1: vad.mode=7 is not allowed: give a whole number from 0 to 3"),
    (
        "vad:\n  mode: 1.5\n",
        "FILE line 2: vad.mode='1.5' is not allowed: give a whole number from 0 to 3",
    ),
    (
        "estimate:\n  hop_s: fast\n",
        "FILE line 2: estimate.hop_s='fast' is not allowed: give a number from 0.03 to 2",
    ),
    (
        "estimate:\n  hop_s: .nan\n",
        "FILE line 2: estimate.hop_s='.nan' is not allowed: give a number from 0.03 to 2",
    ),
    ("ui: {ascii: 2}", "FILE line 1: ui.ascii='2' is not allowed: give yes or no"),
    (
        "audio: {channel: left}",
        "FILE line 1: audio.channel='left' is not allowed: give one of first, mix",
    ),
    ("vad: {mod: 1}", "FILE line 1: unknown key vad.mod: did you mean vad.mode?"),
    ("vda: {mode: 1}", "FILE line 1: unknown key vda: did you mean vad?"),
    (
        "speech: {mode: 1}",
        "FILE line 1: unknown key speech: allowed here: audio, estimate, model, ui, vad",
    ),
    ("model: {zzz: 1}", "FILE line 1: unknown key model.zzz: did you mean model.name?"),
    ("vad: {mode:" + "9" * 5_000 + "}", "FILE line 1: unknown key 'vad.mode:" + "9" * 47 + "...: "
     "allowed here: vad.hangover_s, vad.min_level_dbfs, vad.min_snr_db, vad.mode, "
     "vad.onset_frames"),
    ('"v\\nd\\x1b[2J": {mode: 1}', r"FILE line 1: unknown key 'v\nd\x1b[2J': allowed here: audio, "
     "estimate, model, ui, vad"),
    ("vad: {mode: 1}\nvad: {mode: 2}\n", "FILE line 2: vad is given twice: keep one"),
    ("vad:\n  mode: 1\n  mode: 2\n", "FILE line 3: vad.mode is given twice: keep one"),
    ("vad:\n  mode: [1]\n", "FILE line 2: vad.mode is a list: give one plain value"),
    ("vad:\n  mode: {a: 1}\n", "FILE line 2: vad.mode is a mapping: give one plain value"),
    ("vad: 3\n", "FILE line 1: vad must hold keys with values, such as 'mode: 2'"),
    (
        "- vad\n",
        "FILE line 1: a settings file holds keys with values, such as 'vad:' and below it, "
        "indented, 'mode: 2'",
    ),
    (
        "vad:\n  mode: 1\n extra: 2\n",
        "FILE line 3: not valid YAML: expected <block end>, but found '<block mapping start>'",
    ),
    ("vad: [1\n", "FILE line 2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    (
        "vad:\n\tmode: 1\n",
        "FILE line 2: not valid YAML: found character '\\t' that cannot start any token",
    ),
    ("a: 1\n---\nb: 2\n", "FILE line 2: not valid YAML: but found another document"),
    (b"vad: \xff\n", "FILE: not UTF-8 text (byte 5); save it as UTF-8"),
    (b"vad: \x00\n", "FILE: not valid YAML: unacceptable character #x0000: special "
                     "characters are not allowed"),
    ("[" * 60_000, "FILE: nested too deeply: this is no settings file"),
    ("#" * 70_000, "FILE: over 65536 bytes: this is no settings file"),
    ("? [1, 2]\n: 3\n", "FILE line 1: unknown key [...]: allowed here: audio, estimate, model, ui, "
                        "vad"),
    (
        "vad: {mode: " + "9" * 80 + "}",
        "FILE line 1: vad.mode=" + "9" * 57 + "... is not allowed: give a whole number from 0 to 3",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_bad_file_is_refused_with_its_line_and_what_is_allowed(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert refusal(tmp_path, text) == message


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file=tmp_path / "no.yaml")
    assert str(caught.value) == (
        f"cannot read settings file '{tmp_path / 'no.yaml'}': No such file or directory; "
        "see `rt-ser config` for where it is looked for"
    )


def test_a_refusal_names_the_variable_or_the_flag() -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={"HOME": "/nonexistent", "RT_SER_VAD_MODE": "9"})
    assert str(caught.value) == (
        "RT_SER_VAD_MODE: vad.mode=9 is not allowed: give a whole number from 0 to 3"
    )
    with pytest.raises(ConfigError) as caught:
        load(flags=[Given(path="vad.mode", text="x", origin="--vad-mode")])
    assert str(caught.value) == (
        "--vad-mode: vad.mode='x' is not allowed: give a whole number from 0 to 3"
    )


def test_an_overridden_bad_value_is_refused_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, "vad: {mode: 9}")
    with pytest.raises(ConfigError):
        load(file=path, flags=[Given(path="vad.mode", text="1", origin="--vad-mode")])


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment({"RT_SER_VAD_MOED": "1"})
    assert str(caught.value) == ("unknown variable RT_SER_VAD_MOED: did you mean RT_SER_VAD_MODE?")


def test_foreign_empty_and_reserved_variables_are_left_alone() -> None:
    environ = {"RT_SER_DATA": "/d", "RT_SER_VAD_MODE": "", "RT_SERVER": "1", "RT_SER_TEST_X": "1"}
    assert from_environment(environ) == []


def test_the_variable_may_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "vad: {mode: 3}")
    assert load(environ={"RT_SER_CONFIG": str(path)}).settings.vad.mode == 3


def test_a_home_that_cannot_be_looked_into_holds_no_file() -> None:
    assert not load(environ={"HOME": "/" + 5_000 * "h"}).file_found


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs the rights of POSIX")
def test_a_closed_home_holds_no_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # nothing is closed to root
    try:
        assert not load(environ={"HOME": str(home)}).file_found
    finally:
        os.seteuid(user)
        home.chmod(0o700)


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.config/rt-ser/config.yaml"),
        ("linux", {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/rt-ser/config.yaml"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/rt-ser/config.yaml"),
        ("win32", {"USERPROFILE": "/u", "APPDATA": "/a"}, "/a/rt-ser/config.yaml"),
    ],
)
def test_the_users_file_lies_where_the_platform_keeps_such_files(
    platform: str, environ: dict[str, str], expected: str
) -> None:
    assert user_config_file(environ, platform) == Path(expected)


def test_without_an_environment_no_file_is_looked_for() -> None:
    loaded = load()
    assert (loaded.file, loaded.file_found) == (None, False)
    assert loaded.settings == Settings()


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="becomes another user: run it as root"
)
@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"XDG_CONFIG_HOME": "/x"}, "/x/rt-ser/config.yaml"), ({}, "/.config/rt-ser/config.yaml")],
)
def test_a_user_without_a_home_needs_none(environ: dict[str, str], expected: str) -> None:
    program = (
        "import os\nfrom rt_ser.settings_file import load\n"
        "os.environ.pop('HOME', None)\nos.setuid(54321)\nload()\n"
        f"print(load(environ={environ}).file)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_the_users_file_is_read_when_it_is_there(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert not load(environ=environ).file_found
    path = user_config_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text("vad: {mode: 0}\n")
    loaded = load(environ=environ)
    assert loaded.file_found
    assert loaded.settings.vad.mode == 0


def test_build_refuses_what_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"unknown key vad.mod: did you mean vad.mode\?"):
        build({"vad.mod": 1})


@pytest.mark.parametrize("value", [True, 2.0, "2", None, -1, 4])
def test_a_whole_number_is_neither_truth_nor_fraction_nor_text(value: object) -> None:
    with pytest.raises(ConfigError, match="give a whole number from 0 to 3"):
        VadSettings(mode=value)  # type: ignore[arg-type]


@given(st.data())
def test_any_value_in_range_survives_file_variable_and_flag(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(declarations())))
    spec = declarations()[path]
    meta = spec.metadata
    if meta["choices"]:
        value: object = data.draw(st.sampled_from(meta["choices"]))
    elif isinstance(spec.default, bool):
        value = data.draw(st.booleans())
    elif isinstance(spec.default, int):
        value = data.draw(st.integers(int(meta["low"]), int(meta["high"])))
    elif isinstance(spec.default, float):
        value = data.draw(st.floats(meta["low"], meta["high"]))
    else:
        value = data.draw(st.text(st.characters(categories=["L", "N"]), min_size=1))
    assert parse(path, str(value), spec) == value
    assert from_environment({variable(path): str(value)})[0].path == path


def test_a_tree_is_immutable() -> None:
    settings = Settings()
    for spec in fields(settings):
        with pytest.raises(AttributeError):
            setattr(settings, spec.name, None)
