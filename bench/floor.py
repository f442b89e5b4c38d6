"""What the same server costs when it keeps nothing: the floor under every measurement.

    python -m bench.floor --port 9100 --fakes 9000 --channels f1,f2 --warehouse fw --books fb

POST /ack      reads the body and answers.
POST /relay    answers, then tells every channel the new numbers, one call each.
POST /through  warehouse, ledger and every channel first, then the answer.

No signature, no mapping, no store, no retry. Numbers live in a dict.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import orjson
import uvloop

from bench.fakes import PLACE
from bench.load import Lines
from core.clock import SystemClock
from core.metrics import Metrics
from core.web.server import ServerLimits, WebServer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Floor:
    """The application. Keeps a bare count per SKU."""

    def __init__(
        self, fakes: int, channels: Sequence[str], warehouse: str, books: str, units: int
    ) -> None:
        self._channels = {name: Lines(fakes) for name in channels}
        self._warehouse, self._books = (warehouse, Lines(fakes)), (books, Lines(fakes))
        self._units = units
        self._left: dict[str, int] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/ack":
            await _ok(send)
            return
        order = orjson.loads(body)["order"]
        if scope["path"] == "/through":
            await self._through(order)
            await _ok(send)
            return
        await _ok(send)
        task = asyncio.get_running_loop().create_task(self._tell(order))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _through(self, order: dict[str, Any]) -> None:
        reference = order["id"]
        rows = [
            {"line": line["id"], "sku": line["sku"], "quantity": line["quantity"]}
            for line in order["lines"]
        ]
        ask = {"reference": reference, "place": PLACE, "lines": rows, "ship_to": order["buyer"]}
        booking = {
            "reference": reference,
            "currency": order["currency"],
            "total": order["total"],
            "lines": [row | {"taxes": []} for row in rows],
        }
        await asyncio.gather(
            _call(*self._warehouse, "POST", "/orders", ask),
            _call(*self._books, "POST", "/sales-orders", booking),
            self._tell(order),
        )

    async def _tell(self, order: dict[str, Any]) -> None:
        rows = []
        for line in order["lines"]:
            left = self._left.get(line["sku"], self._units) - line["quantity"]
            self._left[line["sku"]] = left
            rows.append({"sku": line["sku"], "quantity": left})
        await asyncio.gather(
            *(
                _call(name, lines, "PUT", "/stock", {"rows": rows})
                for name, lines in self._channels.items()
            )
        )


async def _call(system: str, lines: Lines, method: str, path: str, body: Any) -> None:
    content = orjson.dumps(body)
    head = (
        f"{method} /{system}{path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer bench-token\r\n"
        f"x-api-key: bench-token\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    status, _ = await lines.ask(head.encode() + content)
    assert 200 <= status < 300, f"{system} answered {status} to the floor"


async def _ok(send: Send) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _until_told(asked: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    floor = Floor(asked.fakes, asked.channels.split(","), asked.warehouse, asked.books, asked.units)
    server = WebServer(
        floor,
        name="hooks",
        host="127.0.0.1",
        port=asked.port,
        clock=SystemClock(),
        metrics=Metrics(),
        limits=ServerLimits(per_address_max=1000),
    )
    await server.start()
    await stop.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.floor", description=__doc__)
    for name in ("port", "fakes", "units"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("channels", "warehouse", "books"):
        parser.add_argument(f"--{name}", required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(parser.parse_args()))


if __name__ == "__main__":
    main()
