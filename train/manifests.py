"""The one way that ``export``, ``evaluate`` and ``enrollment`` write a model's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rt_ser.whole import write_text_whole


def write_manifest(tree: Mapping[str, Any], path: Path) -> None:
    """Write ``NAME.yaml``, keys in the order given; the file is whole at every moment."""
    text = yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, width=96)
    write_text_whole(path, text)
