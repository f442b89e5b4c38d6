"""Verbs that change: retry, discard, replay, stop-sell, sweep, … The running daemon does them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections.abc import Callable
from typing import Any

import httpx

from core import items_in_force, mappings_in_force, operate, rules_in_force
from core.app import build, open_state
from core.cli import planning
from core.cli.opened import configured
from core.cli.text import emit_json
from core.clock import SystemClock
from core.config import Config
from core.daemon import Lock
from core.errors import ConfigError, Problem, Retry, TruecountError
from core.model import CancelReason
from core.serving import token_path

FINE = 0
Verb = Callable[[str, str], argparse.ArgumentParser]
#: What a verb may be told; the daemon is sent those that were given.
WORDS = (
    *("ids", "new_key", "hold", "inbox", "system", "resource", "full", "yes", "applied"),
    *("sku", "channel", "reason", "by", "until"),
    *("order", "word", "name", "text", "for", "plan", "difference", "short", "because"),
)


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    def verb(name: str, what: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, parents=[shared], help=what, description=what
        )
        parser.set_defaults(run=_run)
        return parser

    retry = verb("retry", "send dead commands again, after their cause was corrected")
    retry.add_argument("ids", nargs="*", type=int, metavar="ID", help="default: all dead ones")
    retry.add_argument("--hold", type=int, metavar="ID", help="those of one exception")
    retry.add_argument("--new-key", action="store_true", help="for a system that demands a new key")
    discard = verb("discard", "give dead commands up for good; what waits behind them goes on")
    discard.add_argument("ids", nargs="+", type=int, metavar="ID", help="as `dead` prints them")
    discard.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept")
    discard.add_argument("--by", required=True, metavar="NAME", help="who says so")
    replay = verb("replay", "understand held records again, under the mappings in force now")
    replay.add_argument("--hold", type=int, metavar="ID", help="only of this exception")
    replay.add_argument("--inbox", type=int, metavar="SEQ", help="only this record")
    replay.add_argument(
        "--applied",
        action="store_true",
        help="instead: what was decided already of --system and --resource; asks first",
    )
    replay.add_argument("--system", metavar="SYSTEM")
    replay.add_argument("--resource", metavar="RESOURCE", help="order, listing, shipment, …")
    replay.add_argument("--yes", action="store_true", help="also where it alters what is posted")
    reload = verb("reload", "read mappings, items and rules again; on any error the old ones stay")
    reload.add_argument(
        "--yes", action="store_true", help="also where a mapping alters what is posted already"
    )
    for parser in (retry, discard, replay):
        _plan(parser)
    accept = verb("accept", "close an exception only a person can close, after seeing to it")
    accept.add_argument("hold", type=int, metavar="ID", help="as `truecount holds` prints it")
    _plan(accept)
    _add_decisions(verb)
    _add_marks(verb)
    sweep = verb("sweep", "read one system now")
    sweep.add_argument("system", metavar="SYSTEM")
    sweep.add_argument("resource", nargs="?", metavar="RESOURCE")
    sweep.add_argument(
        "--full", action="store_true", help="from the beginning, not since last time"
    )
    stop = verb("stop-sell", "sell none of an item from now on, whatever the rules say")
    stop.add_argument("sku", metavar="SKU")
    stop.add_argument("--channel", metavar="CHANNEL", help="only there; default: on every channel")
    stop.add_argument("--reason", required=True, metavar="TEXT", help="why; `status` shows it")
    stop.add_argument("--by", required=True, metavar="NAME", help="who says so")
    stop.add_argument(
        "--until", metavar="TIME", help='like "2026-11-12 18:00"; default: until resume-sell'
    )
    resume = verb("resume-sell", "end a stop-sell; the rules alone say again what is sold")
    resume.add_argument("sku", metavar="SKU")
    resume.add_argument("--channel", metavar="CHANNEL", help="only there; default: all its stops")
    resume.add_argument("--by", metavar="NAME", help="who says so")


def _add_decisions(verb: Verb) -> None:
    """What a person decides about orders and unknown words."""
    release = verb("release", "let held orders go on, where their hold says that a person may")
    by_hand = verb("by-hand", "orders from before this was live that somebody did by hand")
    for parser in (release, by_hand):
        parser.add_argument("order", nargs="?", metavar="SYSTEM:ORDER", help="one order")
        parser.add_argument("--hold", type=int, metavar="ID", help="all orders of one exception")
        _reason(parser)
    hold = verb("hold", "keep an order back, and ask the warehouse for it")
    cancel = verb("cancel", "end an order: ask the warehouse for it, then its channel to cancel it")
    grant = verb("grant", "cancel an order as its buyer wishes: the channel is answered")
    refuse = verb("refuse", "do not cancel as its buyer wishes: the channel is answered")
    ends = (hold, cancel, grant, refuse)
    for parser in ends:
        parser.add_argument("order", metavar="SYSTEM:ORDER")
        _reason(parser)
    cancel.add_argument("--short", action="store_true", help="only units that no stock covers")
    cancel.add_argument(
        "--because", choices=[*CancelReason], help="what the channel is told; default: other"
    )
    named = verb("map", "say which item a system means by a word: written into the items file")
    named.add_argument("system", metavar="SYSTEM")
    named.add_argument("word", metavar="WORD", help="as the system writes it, letter for letter")
    named.add_argument("sku", metavar="SKU", help="yours")
    _by(named)
    for parser in (release, by_hand, *ends, named):
        _plan(parser)


def _add_marks(verb: Verb) -> None:
    """What a person says of an exception itself."""
    assign = verb("assign", "say who is on an exception, or on a difference")
    note = verb("note", "write down what is known of an exception")
    snooze = verb("snooze", "put an exception off: it does not alarm, and comes back by itself")
    for parser in (assign, note, snooze):
        kind = _hold_or_difference if parser is assign else int
        parser.add_argument("hold", type=kind, metavar="ID", help="as `truecount holds` prints it")
        _by(parser)
    written = verb("write-off", "a difference is nobody's any more, at the amount it has now")
    written.add_argument("difference", metavar="ID", help="as `truecount differences` prints it")
    _reason(written)
    _plan(written)
    assign.add_argument("name", metavar="NAME")
    note.add_argument("text", metavar="TEXT")
    snooze.add_argument("--for", metavar="TIME", help="like 4h or 2d")
    snooze.add_argument("--until", metavar="TIME", help='like "2026-11-12 18:00"')


def _hold_or_difference(text: str) -> int | str:
    return text if text.startswith("d") else int(text)


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept")
    _by(parser)


def _by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", default=getpass.getuser(), metavar="NAME", help="who says so (default: your login)"
    )


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan", action="store_true", help="only print what it would send; nothing is changed"
    )


def _run(options: argparse.Namespace) -> int:
    config = configured(options.config)
    words = {
        name: getattr(options, name)
        for name in WORDS
        if getattr(options, name, None) not in (None, [], False)
    }
    done = _by_daemon(config, options.verb, words)
    if done is None:
        done = asyncio.run(_by_ourselves(config, options.verb, words))
    said = done.pop("said", [])
    if options.json:
        emit_json(done)
    elif done.get("plan"):
        planning.print_rehearsal(options.verb, done)
    else:
        print("\n".join(said)) if said else None
        done.pop("changes", None)
        for name, value in done.items():
            print(f"{name}: {value}")
    return FINE


def _by_daemon(config: Config, verb: str, words: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the running daemon; None when there is none."""
    listen = config.listen.operations
    try:
        token = token_path(config.state.parent).read_text()
        answer = httpx.post(
            f"http://{listen.host}:{listen.port}/operator/{verb}",
            json=words,
            headers={"authorization": f"Bearer {token}"},
            timeout=30.0,
            trust_env=False,
        )
    except (OSError, httpx.ConnectError):
        return None
    except httpx.HTTPError as error:
        raise Retry(f"the daemon did not answer ({type(error).__name__})") from None
    body: dict[str, Any] = answer.json()
    if problems := body.get("problems"):
        raise ConfigError([Problem(**one) for one in problems])
    if answer.status_code != 200:
        raise TruecountError(body.get("error", f"the daemon answered {answer.status_code}"))
    return body


async def _by_ourselves(config: Config, verb: str, words: dict[str, Any]) -> dict[str, Any]:
    """No daemon runs: take its lock, do it, let go."""
    lock = Lock(config.state.parent)
    lock.take()
    app = build(config, SystemClock())
    try:
        await open_state(app)
        await items_in_force.restore(app)
        await rules_in_force.restore(app)
        await mappings_in_force.restore(app)
        return await operate.operate(app, verb, words)
    finally:
        await app.close()
        lock.release()
