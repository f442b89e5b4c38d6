"""`truecount demo`: the main job in two minutes, with the real daemon over real sockets.

The systems pretend (or, with `--erp tryton`, the ledger is a real Tryton), the
daemon does not: it is the program `truecount run` starts, with its own ports,
database and log. The play acts as buyers and pickers would, and looks only at
what an operator can see.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from core import exceptions, explain, report, views
from core.cli.opened import Opened, opened
from core.cli.reporting import compared
from core.cli.scene import SECRETS, Refused, Remote, Scene
from core.clock import day_of
from core.errors import Retry
from core.reconcile import Reconciliation
from core.wording import plural

LAMP, BOTTLE, TEE = "SKU-0001", "SKU-0002", "SKU-0003"
NAMES = {LAMP: "Desk lamp", BOTTLE: "Steel bottle", TEE: "Cotton tee"}
OPENING = 100
PATIENCE_S = 45.0
WIDTH = 88


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "play the main job with pretend systems, end by itself, explain what happened"
    parser = verbs.add_parser("demo", parents=[shared], help=what, description=what)
    parser.add_argument("--erp", choices=("fake", "tryton"), default="fake", help="the ledger")
    parser.add_argument("--folder", type=Path, default=Path("demo-output"), help="where it works")
    parser.add_argument("--pace", type=float, default=3.0, metavar="SECONDS", help="time to read")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    scene = Scene.at(folder)
    with contextlib.ExitStack() as stack:
        tryton = stack.enter_context(_tryton(folder)) if options.erp == "tryton" else None
        books, place = _books(tryton)
        scene.write(books=books, books_place=place)
        environment = {**os.environ, **SECRETS, "DEMO_TRYTON_KEY": (tryton or {}).get("key", "-")}
        os.environ.update(environment)
        stack.enter_context(_fakes(scene, environment))
        remote = Remote(scene.fakes)
        stack.callback(remote.close)
        play = Play(scene, remote, pace=options.pace, real_ledger=tryton is not None)
        play.stock_the_shelves()
        stack.enter_context(_daemon(scene, environment))
        play.perform()
    return 0


# ------------------------------------------------------------------ the cast


@contextlib.contextmanager
def _process(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _fakes(scene: Scene, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "core.fakehost"]
    command += ["--config", str(scene.hosts), "--port", str(scene.fakes)]
    with _process(command, environment, scene.folder / "fakes.log"):
        remote = Remote(scene.fakes)
        until("the pretend systems answer", remote.alive)
        remote.close()
        yield


@contextlib.contextmanager
def _daemon(scene: Scene, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "core.cli", "run", "--config", str(scene.config)]
    log = scene.folder / "daemon.log"
    with _process(command, environment, log):
        until("the daemon is ready", lambda: log.exists() and "daemon.ready" in log.read_text())
        yield


@contextlib.contextmanager
def _tryton(folder: Path) -> Iterator[dict[str, Any]]:
    """A real Tryton from the project's own test harness; it runs in its own environment."""
    say("Starting a real Tryton as the ledger (the first time it is installed: about a minute) …")
    command = [sys.executable, "-m", "tests.tryton.server", "serve", "erp"]
    with (folder / "tryton.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own harness
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Retry("Tryton did not start", words=(folder / "tryton.log").read_text()[-500:])
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(20)


def _books(tryton: dict[str, Any] | None) -> tuple[str, str]:
    """The ledger's block of config.yaml, and what it calls our location."""
    if tryton is None:
        return "", "EAST"
    block = f"""\
    connector: tryton
    network: private
    settings: {{base_url: "{tryton["url"]}", taxes: "0.18=GST 18%"}}
    secrets: {{key: "${{DEMO_TRYTON_KEY}}"}}
    every: {{document: 3s, price: 60s, stock_reading: 5s}}
"""
    return block, str(tryton["facts"]["locations"].get("code", "WH"))


# ------------------------------------------------------------------ the play


def say(text: str) -> None:
    print(text, flush=True)


def until(what: str, done: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for something an operator would wait for; say what did not happen."""
    end = time.monotonic() + patience_s
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > end:
            raise Retry(f"after {patience_s:.0f} s it is still not true that {what}")
        time.sleep(0.1)


class Play:
    """The scenes, in order. `remote` acts; `_look` sees what an operator sees."""

    def __init__(self, scene: Scene, remote: Remote, *, pace: float, real_ledger: bool) -> None:
        self._scene = scene
        self._act = remote
        self._pace = pace
        self._real_ledger = real_ledger
        self._began = time.monotonic()
        self._number = 0
        self._lamp_orders: list[str] = []

    def perform(self) -> None:
        self.two_channels_one_pool()
        self.a_big_order()
        self.the_last_one()
        self.the_warehouse_goes_away()
        self.a_lost_answer()
        self.two_questions()
        self.the_morning_mail()

    def stock_the_shelves(self) -> None:
        say(_title("The cast"))
        ledger = "a REAL Tryton 8.2" if self._real_ledger else "pretending"
        for name, who in (
            ("webshop", "a Shopify shop, pretending (conditional stock writes, webhooks)"),
            ("marketplace", "an Amazon account, pretending (polled, absolute stock writes)"),
            ("warehouse", "a plain WMS, pretending; its word on stock and shipments counts"),
            ("books", f"the ERP: {ledger}; it owns prices, cost and invoices"),
            ("truecount", "the real daemon, its own process, over real sockets"),
        ):
            say(f"  {name:<12} {who}")
        for sku, name in NAMES.items():
            self._act("warehouse", "receive", sku=sku, place="EAST", quantity=OPENING)
            self._act("webshop", "add_product", sku=sku, title=name, price="49.90", stock=0)
            self._act("marketplace", "list_item", sku=sku, quantity=0, price=4990, title=name)
            if not self._real_ledger:
                self._act("books", "set_item", sku=sku, list_price="49.90", unit_cost="20.00")
                self._act("books", "set_stock", sku=sku, warehouse="EAST", quantity=OPENING)

    # -------------------------------------------------------------- scenes

    def two_channels_one_pool(self) -> None:
        self._scene_title("Two channels publish the same pool")
        until("both channels show the shelf", lambda: self._shown(LAMP) == (OPENING, OPENING))
        self._shelf_and_channels()

    def a_big_order(self) -> None:
        self._scene_title("A big order takes 99 of the 100 lamps")
        order = self._buy("webshop", [(LAMP, 99), (TEE, 2)], shipping="9.90")
        until("the marketplace was told", lambda: self._shown(LAMP) == (1, 1))
        say(f"  {order} sold on the webshop; the marketplace was cut to 1 before anybody shipped:")
        self._shelf_and_channels()
        self._ship_everything()
        until("it is booked and invoiced", lambda: self._documents("invoice") >= 1)
        say("  The warehouse shipped it; tracking went to the shop, sale, delivery, cost and")
        say("  invoice to the books.")
        self._breathe()

    def the_last_one(self) -> None:
        self._scene_title("Both channels sell the last lamp in the same moment")
        with ThreadPoolExecutor(2) as buyers:
            first = buyers.submit(self._buy, "webshop", [(LAMP, 1)])
            second = buyers.submit(self._buy, "marketplace", [(LAMP, 1)])
            self._lamp_orders = [first.result(), second.result()]
        if "" in self._lamp_orders:
            say("  This time one buyer was faster than the other could click: no race to settle.")
        until("both channels show 0", lambda: self._shown(LAMP) == (0, 0))
        say("  One lamp, two buyers. Exactly one claim was opened; the other order is held and")
        say("  says so. Neither channel offers a lamp any more:\n")
        self._shelf_and_channels()
        self._needs_you()
        self._ship_everything()
        self._breathe()

    def the_warehouse_goes_away(self) -> None:
        self._scene_title("The warehouse goes away, and the shop goes on selling")
        self._act.faults("warehouse", down=True)
        bought = [self._buy("webshop", [(BOTTLE, 3)]), self._buy("marketplace", [(TEE, 1)])]
        until("both are captured", lambda: all(self._order(name) for name in bought))
        until(
            "the channels know",
            lambda: self._shown(BOTTLE) == (OPENING - 3, OPENING - 3),
        )
        say(f"  {' and '.join(bought)}: captured, claimed, booked, channels already cut.")
        say("  What the warehouse must be told waits in the outbox:\n")
        self._outbox()
        self._breathe()
        self._act.faults("warehouse")
        say("\n  … it is back.")
        until("it has both orders", lambda: len(self._open_in_warehouse()) >= 2, 90)
        self._ship_everything()
        until("both left", lambda: all(self._state(name) == "shipped" for name in bought))
        say("  Nothing lost, nothing twice: both shipped.")
        self._breathe()

    def a_lost_answer(self) -> None:
        if self._real_ledger:
            return
        self._scene_title("The books do it, but their answer is lost")
        self._act.faults("books", lose_answers=1)
        order = self._buy("webshop", [(BOTTLE, 1)])
        until("the sale is in doubt", lambda: self._commands("in_doubt"))
        say(f"  {order}: sent, no answer. It is not sent again; it is looked up by our reference:")
        self._outbox()
        until("the doubt is resolved", lambda: not self._commands("in_doubt"), 60)
        twice = self._act("books", "duplicates")
        say(f"\n  Found. Documents booked twice in the books: {len(twice)}.")
        self._ship_everything()
        until("it left", lambda: self._state(order) == "shipped")
        self._breathe()

    def two_questions(self) -> None:
        self._scene_title("Why is the lamp at 0, and where did the last one go?")
        for words in (["why", LAMP], ["trace", self._who_got_the_lamp()]):
            say(f"  $ truecount {' '.join(words)}\n")
            say(textwrap.indent(self._truecount(*words), "    "))
            self._breathe()

    def the_morning_mail(self) -> None:
        self._scene_title("The morning mail")
        until("the books were read back", self._everything_read_back, 60)
        found = self._reconciled()
        for name, text in (
            ("mail.txt", report.as_text(found)),
            ("mail.html", report.as_html(found)),
        ):
            (self._scene.folder / name).write_text(text, encoding="utf-8")
        say(textwrap.indent(report.as_text(found), "    "))
        self._summary(found)

    def _summary(self, found: Reconciliation) -> None:
        say(_title("What you saw"))
        with opened(self._scene.config) as own:
            status = views.status(own.connection, own.network, own.now)
        orders = ", ".join(f"{n} {state}" for state, n in sorted(status["orders"].items()))
        say(f"  Orders: {orders}. Verdict of the reconciliation: {found.verdict}.")
        say(f"  Commands given up: {len([o for o in status['outbox'] if o['state'] == 'dead'])}.")
        say(f"  It took {time.monotonic() - self._began:.0f} s.\n")
        folder = self._scene.folder
        say(f"  The mail:         {folder / 'mail.html'}")
        say(f"  The daemon's log: {folder / 'daemon.log'}")
        say(f"  Look around:      truecount status --config {self._scene.config}")
        say(f"                    (first: set -a; . {self._write_environment()}; set +a)")

    def _write_environment(self) -> Path:
        path = self._scene.folder / "environment"
        path.write_text("".join(f"{k}='{v}'\n" for k, v in SECRETS.items()))
        with path.open("a") as file:
            file.write(f"DEMO_TRYTON_KEY='{os.environ.get('DEMO_TRYTON_KEY', '-')}'\n")
        return path

    # -------------------------------------------------------------- acting

    def _buy(self, channel: str, wanted: list[tuple[str, int]], **facts: Any) -> str:
        """A checkout. Returns SYSTEM:NUMBER, or "" when the channel was sold out."""
        lines = [{"sku": sku, "quantity": units} for sku, units in wanted]
        if channel == "webshop":
            facts |= {"tax_rate": "0.18"}
        try:
            placed = self._act(channel, "place_order", lines=lines, **facts)
        except Refused:
            return ""
        number = placed["name"] if isinstance(placed, dict) else placed
        return f"{channel}:{number}"

    def _open_in_warehouse(self) -> list[dict[str, Any]]:
        return [row for row in self._act("warehouse", "orders") if row["state"] == "open"]

    def _ship_everything(self) -> None:
        """The pickers' round: everything the warehouse has been asked for leaves."""
        until("the warehouse has been asked", self._open_in_warehouse, 90)
        for index, row in enumerate(self._open_in_warehouse()):
            tracking = f"1Z999AA1012345{self._number}{index:03d}"
            words = {"reference": row["reference"], "carrier": "UPS", "tracking": tracking}
            self._act("warehouse", "ship", **words)

    # -------------------------------------------------------------- looking

    def _look(self, question: Callable[[Any], Any]) -> Any:
        with opened(self._scene.config) as own:
            return question(own)

    def _shown(self, sku: str) -> tuple[int, int]:
        """What the two channels really show, asked of them, not of us."""
        places = self._act("webshop", "stock", sku=sku)
        shop = sum(level["available"] for level in places.values())
        return shop, self._act("marketplace", "stock", sku=sku)

    def _order(self, name: str) -> Any:
        return self._look(lambda own: views.find_order(own.connection, name))

    def _state(self, name: str) -> str:
        found = self._order(name)
        return str(found[0].state) if found else ""

    def _commands(self, state: str) -> list[dict[str, Any]]:
        rows = self._look(lambda own: views.status(own.connection, own.network, own.now))["outbox"]
        return [row for row in rows if row["state"] == state]

    def _who_got_the_lamp(self) -> str:
        """The order that claimed the last one: either channel may have been the faster."""

        def shipped() -> list[str]:
            return [name for name in self._lamp_orders if name and self._state(name) == "shipped"]

        return str(until("the last lamp left", shipped)[0])

    def _documents(self, kind: str) -> int:
        rows: list[dict[str, Any]] = self._look(lambda own: views.documents(own.connection))
        return len([row for row in rows if row["kind"] == kind and row["posted"]])

    def _everything_read_back(self) -> bool:
        """No document of a done booking is still unseen, and no listing unread."""
        return not [d for d in self._reconciled().differences if d.kind == "in_flight"]

    def _reconciled(self) -> Reconciliation:
        def question(own: Any) -> Reconciliation:
            return compared(own, self._today(own))

        found: Reconciliation = self._look(question)
        return found

    @staticmethod
    def _today(own: Any) -> date:
        return day_of(own.now, own.config.company.timezone)

    def _truecount(self, *words: str) -> str:
        command = [sys.executable, "-m", "core.cli", *words, "--config", str(self._scene.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout or done.stderr

    # -------------------------------------------------------------- telling

    def _scene_title(self, text: str) -> None:
        self._number += 1
        say(_title(f"{self._number}. {text}"))

    def _breathe(self) -> None:
        time.sleep(self._pace)

    def _shelf_and_channels(self) -> None:
        say(f"    {'':<14} {'shelf':>6} {'claimed':>8} {'webshop':>8} {'marketplace':>12}")
        for sku, name in NAMES.items():
            shop, market = self._shown(sku)
            place = self._look(partial(_first_location, sku))
            row = f"{place['supply']:>6} {place['claimed']:>8} {shop:>8} {market:>12}"
            say(f"    {name:<14} {row}")
        self._breathe()

    def _needs_you(self) -> None:
        needs = self._look(lambda own: exceptions.open_ones(own.connection, own.now))
        for row in needs:
            say(f"\n    needs you: {row['reason']}")
            say(f"               {row['next_step']}")

    def _outbox(self) -> None:
        status = self._look(lambda own: views.status(own.connection, own.network, own.now))
        for row in status["outbox"]:
            if row["state"] != "done":
                say(f"    {row['system']:<12} {plural(row['commands'], 'command')} {row['state']}")


def _first_location(sku: str, own: Opened) -> dict[str, Any]:
    found = explain.why(own.connection, own.network, own.now, sku)
    assert found is not None
    location: dict[str, Any] = found["locations"][0]
    return location


def _title(text: str) -> str:
    return f"\n{text}\n{'─' * min(WIDTH, max(len(text), 40))}"
