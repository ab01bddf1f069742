"""Files that are whole at every moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_ser.whole import write_text_whole, written_whole


def stopped_while_writing(path: Path) -> None:
    with written_whole(path) as draft:
        draft.write_bytes(b"sec")
        raise KeyboardInterrupt


def names_in(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()]


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    for content in (b"first", b"second"):
        with written_whole(path) as draft:
            draft.write_bytes(content)
    assert path.read_bytes() == b"second"
    assert names_in(path.parent) == ["model.tflite"]


def test_what_was_there_is_there_until_the_end_of_writing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"first")
    with written_whole(path) as draft:
        draft.write_bytes(b"sec")
        assert path.read_bytes() == b"first"
        assert draft.suffix == path.suffix


def test_a_stop_in_the_middle_leaves_what_was_there_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"first")
    with pytest.raises(KeyboardInterrupt):
        stopped_while_writing(path)
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["weights.pt"]


def test_a_text_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    for text in ("ä longer text than the next\n", "short\n"):
        write_text_whole(path, text)
    assert path.read_bytes() == b"short\n"
    assert names_in(path.parent) == ["page.md"]
