"""`truecount demo`: the main job in two minutes, with the real daemon over real sockets."""

from __future__ import annotations

import argparse
from typing import Any


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "play the main job with pretend systems, end by itself, explain what happened"
    parser = verbs.add_parser("demo", parents=[shared], help=what, description=what)
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    return 0
