"""H4: TERM while pushes arrive. A 2xx is only for what is kept, and it is gone in time."""

from __future__ import annotations

import hmac
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from tests.crash.installation import SECRETS, Installation, until
from tests.crash.killing import Killing

pytestmark = pytest.mark.whole
AT_ONCE = 40


def push(number: int) -> tuple[str, bytes, bytes]:
    """An event's identity, and the two halves of its request."""
    identity = f"event-{number}"
    order = {"id": f"X{number:06d}", "version": 1, "note": "n" * 400}
    body = orjson.dumps({"order": order})
    signature = hmac.digest(SECRETS["SHOP_HOOK"].encode(), body, "sha256").hex()
    head = (
        "POST /hooks/shop HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
        f"x-channel-topic: order.created\r\nx-channel-event: {identity}\r\n"
        f"x-channel-signature: {signature}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    return identity, head + body[:200], body[200:]


def status(sender: socket.socket) -> int:
    """What was answered; 0: the connection ended without an answer."""
    try:
        said = sender.recv(4096)
    except OSError:
        return 0
    return int(said.split()[1]) if said else 0


def test_h4_what_is_acknowledged_while_it_stops_is_kept(tmp_path: Path) -> None:
    """Half bodies wait when TERM comes: a third is finished before, a third after, one never."""
    with Installation(tmp_path / "a") as own:
        Killing(own).open()
        own.start()
        until("the daemon is ready", own.ready)
        pushes = [push(number) for number in range(3 * AT_ONCE)]
        senders = [socket.create_connection(("127.0.0.1", own.hooks), 30) for _ in pushes]
        for sender, (_, first, _) in zip(senders, pushes, strict=True):
            sender.sendall(first)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for sender, (_, _, rest) in list(zip(senders, pushes, strict=True))[:AT_ONCE]:
                threads.submit(sender.sendall, rest)
            stopping = threads.submit(own.stop)  # in the middle of them
            for sender, (_, _, rest) in list(zip(senders, pushes, strict=True))[
                AT_ONCE : 2 * AT_ONCE
            ]:
                try:
                    sender.sendall(rest)
                except OSError:
                    continue  # it has hung up: nobody was told anything
            answers = list(threads.map(status, senders))
            assert stopping.result() == 0
        for sender in senders:
            sender.close()
        kept = {row[0] for row in own.rows("SELECT identity FROM inbox")}
        for (identity, _, _), answer in zip(pushes, answers, strict=True):
            assert answer != 200 or identity in kept, f"{identity} was acknowledged and is gone"
        assert not {200} & set(answers[2 * AT_ONCE :])  # half a body is never acknowledged
        assert not {one for one, _, _ in pushes[2 * AT_ONCE :]} & kept
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", own.hooks), 1)
        assert set(answers) <= {0, 200, 408, 503}
        assert 200 in answers  # some were in time
