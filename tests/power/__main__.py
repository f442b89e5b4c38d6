"""Power losses, as many as there is time for, with the control beside them.

    python -m tests.power --images 20000

Exit code 1 if one image lost, tore or damaged anything, or if a control went free.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.power import trial
from tests.power.recorder import why_not

#: Images of one recording; the next one has another workload.
OF_ONE = 1_000


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.power", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(words)
    if reason := why_not():
        print(reason)
        return 2
    began = time.monotonic()
    total = trial.Verdict()
    for number in range(-(-asked.images // OF_ONE)):
        count = min(OF_ONE, asked.images - total.images)
        total.add(_one("", count, asked.seed + number))
        print(f"as it is: {total.said}, {time.monotonic() - began:.0f} s", flush=True)
    controls = {level: _one(level, 300, asked.seed) for level in ("NORMAL", "OFF")}
    for level, verdict in controls.items():
        print(f"control, synchronous={level}: {verdict.said}")
    convicted = controls["NORMAL"].lost_images and controls["OFF"].damaged
    print(total.worst or "nothing lost, torn or damaged")
    print("both controls convicted" if convicted else "A CONTROL WENT FREE")
    return 0 if total.clean and convicted else 1


def _one(synchronous: str, count: int, seed: int) -> trial.Verdict:
    with tempfile.TemporaryDirectory() as folder:
        ops = trial.record(Path(folder), synchronous=synchronous, events=330, seed=seed)
        return trial.judge(ops, count=count, seed=seed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
