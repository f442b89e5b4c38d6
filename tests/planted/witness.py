"""A plugin for the pytest of a copy: it says where the program came from that was tested."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

OURS = ("core", "connectors", "tests", "test_")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    root = terminalreporter.config.rootpath
    files = (
        getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in OURS or name.startswith("test_")
    )
    strangers = [file for file in files if file and not Path(file).is_relative_to(root)]
    terminalreporter.write_line(f"tested: {root} {' '.join(sorted(strangers))}".rstrip())
