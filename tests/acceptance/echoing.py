"""The fake systems, with one more bad habit: error texts that repeat what they were sent.

    python -m tests.acceptance.echoing hosts.json 9000

POST /_echo {"POST /depot/orders": {"status": 422, "times": 1}}: so many calls that
begin so are refused, and the error quotes the whole body, as real systems do
("customer Jane Doe already exists").
"""

from __future__ import annotations

from typing import Any

import orjson

from core.fake import body_of, say
from core.fakehost import FakeHost
from tests.hosting import main


class Echoing:
    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._plan: dict[str, dict[str, int]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        if scope["path"] == "/_echo":
            self._plan = orjson.loads(body)
            await say(send, 200, {})
            return
        what = f"{scope['method']} {scope['path']}"
        for begins, wrong in self._plan.items():
            if what.startswith(begins) and wrong["times"] > 0:
                wrong["times"] -= 1
                said = _sentences(orjson.loads(body or b"{}"))
                await say(send, wrong["status"], {"error": {"message": said}})
                return

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._host.app(scope, again, send)


def _sentences(value: Any) -> str:
    """Every value of a body, as a clumsy programmer's error would print it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_sentences(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_sentences, value))
    return str(value)


if __name__ == "__main__":
    main(Echoing)
