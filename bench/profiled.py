"""The daemon with a sampler in its main thread: where its CPU time goes.

    PROFILE_TO=file.json python -m bench.profiled run -c config.yaml

SIGPROF fires with CPU time, so waiting is not counted. C code is counted to the
Python function that called it; the commit thread is not seen at all. SIGUSR1 forgets
what was counted so far.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

from sqlalchemy import Engine, event

from core.cli import main

EVERY_S = 0.002
DEPTH_MAX = 200


class Sampler:
    """Counts the function on top (own) and every function below it once (all)."""

    def __init__(self) -> None:
        self.samples = 0
        self.own: Counter[str] = Counter()
        self.all: Counter[str] = Counter()
        self.statements: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._forget)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
        event.listen(Engine, "before_cursor_execute", self._count)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _forget(self, _: int, __: FrameType | None) -> None:
        self.samples = 0
        self.own.clear()
        self.all.clear()
        self.statements.clear()

    def _count(self, *_: object) -> None:
        """One more statement of the nearest function of ours above SQLAlchemy."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and f"{os.sep}core{os.sep}" not in frame.f_code.co_filename:
            frame = frame.f_back
        self.statements[_name(frame.f_code) if frame else "?"] += 1

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        seen: set[str] = set()
        for _depth in range(DEPTH_MAX):
            if frame is None:
                break
            name = _name(frame.f_code)
            if not seen:
                self.own[name] += 1
            seen.add(name)
            frame = frame.f_back
        self.all.update(seen)


@cache
def _name(code: CodeType) -> str:
    return f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_qualname}"


def run() -> int:
    sampler = Sampler()
    sampler.start()
    try:
        return main(sys.argv[1:])
    finally:
        sampler.stop()
        found = {
            "samples": sampler.samples,
            "own": sampler.own.most_common(60),
            "statements": sampler.statements.most_common(60),
            "all": sampler.all.most_common(200),
        }
        Path(os.environ["PROFILE_TO"]).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    sys.exit(run())
