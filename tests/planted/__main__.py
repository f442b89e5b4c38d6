"""`python -m tests.planted`: every planted bug, the harness that has to convict it, and whether
it did. Exit code 1 if one goes free. Words of its name choose a bug."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.planted import court
from tests.planted.bugs import BUGS


def main(words: list[str]) -> int:
    chosen = [bug for bug in BUGS if all(word in bug.name for word in words)]
    free = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = court.copy_program(Path(folder))
        print("| bug | harness | convicted | seconds |\n|---|---|---|---|")
        for bug in chosen:
            try:
                doubt, said = court.convict(copy, bug)
                seconds = f"{said.seconds:.1f}"
            except court.DoesNotApply as refusal:
                doubt, seconds = str(refusal), ""
            free += bool(doubt)
            harness = bug.harness.removeprefix("tests/").removesuffix("::runTest")
            print(f"| {bug.name} | {harness} | {doubt or 'yes'} | {seconds} |", flush=True)
    print(f"\n{len(chosen) - free} of {len(chosen)} planted bugs convicted.")
    return 1 if free or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
