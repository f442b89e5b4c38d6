"""A whole seller in miniature: fakes, configuration and stock, for demo, tests and bench.

Who takes part is written in connectors/demo; here are only ports, folders and the
remote control. The fakes run in one process of their own and are driven over HTTP
like the real thing.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

#: Invented secrets of invented systems; the daemon reads them from its environment.
SECRETS = {
    "TRUECOUNT_SEAL_KEY": base64.b64encode(b"a demo key, never used for real.").decode(),
    "DEMO_SHOP_TOKEN": "demo-shop-token",
    "DEMO_SHOP_HOOK": "demo-shop-hook-secret",
    "DEMO_AMAZON_ID": "fake-client",
    "DEMO_AMAZON_SECRET": "fake-secret",
    "DEMO_AMAZON_REFRESH": "Atzr|fake",
    "DEMO_WMS_TOKEN": "demo-wms-token",
    "DEMO_WMS_HOOK": "demo-wms-hook-secret",
    "DEMO_ERP_KEY": "demo-erp-key",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything is. `folder` holds the config, the state and what the demo writes."""

    folder: Path
    fakes: int
    hooks: int
    operations: int
    smtp: int

    @classmethod
    def at(cls, folder: Path) -> Scene:
        (folder / "state").mkdir(parents=True, exist_ok=True)
        return cls(folder, *free_ports(4))

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts.json"

    def write(self, *, books: str = "", books_place: str = "EAST") -> None:
        """The operator's configuration of this scene, and the cast of its fakes.

        `books` replaces the ledger's block of the configuration, where a real one plays.
        """
        cast = cast_folder()
        words = {
            "@BOOKS@": (books or (cast / "books.yaml").read_text("utf-8")).rstrip(),
            "@BOOKS_PLACE@": books_place,
            "@FAKES@": f"http://127.0.0.1:{self.fakes}",
            "@HOOK@": f"http://127.0.0.1:{self.hooks}/hooks",
            "@HOOKS@": str(self.hooks),
            "@OPERATIONS@": str(self.operations),
            "@SMTP@": str(self.smtp),
            "@MAPPINGS@": str(mappings_folder()),
        }
        for path in (self.config, self.hosts):
            text = (cast / path.name).read_text("utf-8")
            for word, value in words.items():
                text = text.replace(word, value)
            path.write_text(text, encoding="utf-8")


def cast_folder() -> Path:
    """connectors/demo, found as an installed package and never imported."""
    spec = find_spec("connectors")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "demo"


def mappings_folder() -> Path:
    return cast_folder().parent.parent / "mappings"


def free_ports(count: int) -> list[int]:
    """Ports nobody uses at this moment, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Refused(RuntimeError):
    """Somebody in the play could not do it: the channel is sold out, say."""


class Remote:
    """Drives the fakes as people would: buyers, pickers, bookkeepers."""

    def __init__(self, port: int) -> None:
        base = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(base_url=base, timeout=20.0, trust_env=False)

    def __call__(self, system: str, method: str, **words: Any) -> Any:
        answer = self._http.post(f"/_control/{system}/{method}", json=words)
        if answer.status_code >= 400:
            raise Refused(answer.text)
        return answer.json()

    def faults(self, system: str, **words: Any) -> None:
        self._http.post(f"/_faults/{system}", json=words).raise_for_status()

    def log(self, system: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._http.get(f"/_log/{system}").json()
        return found

    def alive(self) -> bool:
        try:
            return self._http.get("/_faults").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self._http.close()
