"""The command line: `truecount VERB`. Human text by default, `--json` on every verb.

Exit codes: 0 fine, 1 findings, 2 wrong use or configuration, 3 cannot reach what it needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.app import own_code_is_ours
from core.cli import (
    changing,
    demo,
    explaining,
    keeping,
    looking,
    mapping,
    planning,
    proving,
    reporting,
    running,
    simulating,
)
from core.crash import refuse_unknown
from core.errors import ConfigError, TruecountError

FINE, FINDINGS, WRONG, UNREACHABLE = 0, 1, 2, 3
_STAYS = "refused; what was in force before stays in force"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every expected failure into a sentence and an exit code."""
    options = _parser().parse_args(argv)
    try:
        own_code_is_ours()
        refuse_unknown()
        return int(options.run(options))
    except ConfigError as error:
        stays = _STAYS if options.verb == "reload" else "nothing was started or changed"
        _complain(f"truecount {options.verb}: {stays}.\n\n{error}")
        return WRONG
    except TruecountError as error:
        _complain(f"truecount {options.verb}: {error}")
        return UNREACHABLE
    except BrokenPipeError:  # `truecount why … | head` is fine
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        return FINE


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="truecount",
        description="Keeps stock, orders and books of a seller's systems telling one truth.",
        epilog="Exit codes: 0 fine, 1 findings, 2 wrong use, 3 cannot reach what it needs.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in (
        demo,
        running,
        looking,
        planning,
        explaining,
        changing,
        mapping,
        reporting,
        proving,
        keeping,
        simulating,
    ):
        module.add_verbs(verbs, _shared())
    return parser


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(os.environ.get("TRUECOUNT_CONFIG", "config.yaml")),
        help="the configuration (default: $TRUECOUNT_CONFIG or config.yaml)",
    )
    shared.add_argument("--json", action="store_true", help="print JSON instead of text")
    return shared
