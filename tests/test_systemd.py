"""The example unit: valid, hardened, and asking for nothing that the program lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rt_ser.cli.listen import parser

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "examples" / "systemd" / "rt-ser.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd"
)


def directives() -> dict[str, str]:
    """The unit's keys and values."""
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))


def test_it_has_no_network_no_place_to_write_and_no_rights() -> None:
    unit = directives()
    wanted = {
        "PrivateNetwork": "yes", "ProtectSystem": "strict", "DynamicUser": "yes",
        "SupplementaryGroups": "audio", "CapabilityBoundingSet": "", "NoNewPrivileges": "yes",
        "ProtectHome": "yes",
    }  # fmt: skip
    assert {name: unit[name] for name in wanted} == wanted


def test_its_command_is_one_that_there_is() -> None:
    program, command, *options = directives()["ExecStart"].split()
    assert (program, command) == ("/opt/rt-ser/bin/rt-ser", "listen")
    assert parser().parse_args(options).log_level == "info"


@needs_systemd
def test_systemd_takes_it(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, UNIT.name in done.stderr) == (0, False), done.stderr


@needs_systemd
def test_systemd_finds_little_exposed() -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", UNIT]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 2.0
