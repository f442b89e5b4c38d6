"""The outside world in one process: channels, warehouse and ledger, with stock in place.

python -m bench.fakes --config hosts.json --port 9000 --skus 500 --units 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

import uvloop

from core.fakehost import FakeHost, serve

PLACE = "MAIN"


def sku(index: int) -> str:
    return f"SKU-{index:05d}"


def stock_up(host: FakeHost, skus: int, units: int) -> None:
    """Every article is listed on every channel and lies on the shelf of every warehouse."""
    for hosted in host.hosted():
        fake, kind = hosted.fake, hosted.system.connector
        for index in range(skus):
            if kind == "generic_channel":
                fake.list_item(sku(index))
            elif kind == "generic_wms":
                fake.receive(sku(index), PLACE, units)
            elif kind == "generic_erp":
                fake.set_item(sku(index), "10.00", "4.00")


async def _until_told(config: Path, port: int, skus: int, units: int) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    systems = json.loads(config.read_text("utf-8"))["systems"]
    await serve(systems, port, ready=lambda host: stock_up(host, skus, units), stop=stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.fakes", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--skus", type=int, required=True)
    parser.add_argument("--units", type=int, required=True)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(asked.config, asked.port, asked.skus, asked.units))


if __name__ == "__main__":
    main()
