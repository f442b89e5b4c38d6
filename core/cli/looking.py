"""Verbs that only look: status, trace, holds, returns, dead."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from core import exceptions, overrides, return_views, views
from core.app import seal_of
from core.cli.opened import Opened, opened
from core.cli.text import age, emit_json, local, since, table
from core.clock import unstamp
from core.money import Money
from core.wording import plural

FINE, FINDINGS, WRONG = 0, 1, 2


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    def verb(name: str, what: str, run: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, parents=[shared], help=what, description=what
        )
        parser.set_defaults(run=run)
        return parser

    verb("status", "is everything alive, and what needs you", _status)
    trace = verb("trace", "one order's walk through the eight stops", _trace)
    trace.add_argument("order", metavar="SYSTEM:ORDER", help="for example shopify-main:#1001")
    holds = verb("holds", "open exceptions, one per cause, with what to do", _holds)
    holds.add_argument("hold", nargs="?", type=int, metavar="ID", help="show its members")
    verb("returns", "open returns: which of goods, money and credit note is missing", _returns)
    dead = verb("dead", "commands given up, with the other system's words", _dead)
    dead.add_argument(
        "command", nargs="?", type=int, metavar="ID", help="show one: request, answer, what to do"
    )
    dead.add_argument("--buyer", action="store_true", help="with ID: also what the buyer wrote")


# ------------------------------------------------------------------ status


def _status(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = views.status(own.connection, own.network, own.now)
        found["stopped"] = overrides.stopped(own.connection)
    trouble = bool(found["needs_you"] or found["oversold"])
    if options.json:
        emit_json(found)
        return FINDINGS if trouble else FINE
    _print_plan_words(own)
    _print_needs(found["needs_you"], own)
    _print_put_off(found["snoozed"], own.config.company.timezone)
    for row in found["oversold"]:
        print(f"  oversold by {row['units']}: {row['sku']} at {row['location']}")
        print(f"      in danger: {', '.join(row['orders'])}")
    _print_stopped(found["stopped"], own.config.company.timezone)
    for row in found["waits"]:
        print(f"Waiting by itself: {plural(row['members'], 'record')}, {row['reason']}")
    for row in found["away"]:
        print(_away(row, own))
    print("\nOrders    " + (_counts(found["orders"]) or "none yet"))
    print("Inbox     " + (_counts(found["inbox"]) or "empty"))
    if found["outbox"]:
        print("\nCommands")
        rows = [{**r, "oldest": since(r["oldest"], own.now)} for r in found["outbox"]]
        print(table(rows, ["system", "state", "commands", "oldest"], indent="  "))
    print_deadlines(found["deadlines"])
    print("\nLast complete read of each owner")
    rows = [{**r, "age": age(r["age_s"]), "trouble": r["words"]} for r in found["sweeps"]]
    print(table(rows, ["system", "resource", "age", "rows", "trouble"], indent="  "))
    print("\nChannels")
    rows = [{**r, "last_told": since(r["last_told"], own.now)} for r in found["channels"]]
    print(table(rows, ["channel", "skus_waiting", "last_told"], indent="  "))
    return FINDINGS if trouble else FINE


def print_deadlines(rows: list[dict[str, Any]]) -> None:
    """How close we run: of the last 24 h, and what the next ones bring."""
    if not rows:
        return
    print("\nDeadlines")
    shown = [
        row
        | {
            name: _left(row[f"{name}_s"]) if row["came"] else "-"
            for name in ("least_left", "median_left")
        }
        for row in rows
    ]
    columns = ["system", "kind", "overdue", "due_1h", "due_4h", "due_24h", "missed"]
    print(table(shown, [*columns, "least_left", "median_left"], indent="  "))


def _left(seconds: float) -> str:
    return age(seconds) if seconds >= 0 else f"{age(-seconds)} late"


def _away(row: dict[str, Any], own: Opened) -> str:
    """A system that does not answer, or what is drained since it does: with the forecast."""
    if row["back_at"]:
        return f"Back since {since(row['back_at'], own.now)}: {row['words']}"
    return f"Away since {since(row['since'], own.now)}: {row['words']}"


def _print_stopped(rows: list[dict[str, Any]], zone: ZoneInfo) -> None:
    """What nobody may buy, and whom to ask: a stop that is forgotten is a sale lost."""
    for row in rows:
        until = (
            f"until {local(row['until'], zone)}" if row["until"] else "until somebody resumes it"
        )
        print(f"Stopped: {row['sku']} on {row['channel']} by {row['by']}, {until}. {row['reason']}")


def _print_needs(needs: list[dict[str, Any]], own: Opened) -> None:
    if not needs:
        print("Nothing needs you.")
        return
    print(f"{plural(len(needs), 'thing')} need{'s' if len(needs) == 1 else ''} you:")
    for row in needs:
        _print_exception(row, own)


def _print_exception(row: dict[str, Any], own: Opened) -> None:
    """Why, how much of it, who is on it, and the words to type next."""
    zone = own.config.company.timezone
    said = [plural(row["members"], "record"), f"since {since(row['since'], own.now)}"]
    if row["at_stake"]:
        said.append(f"{exceptions.at_stake(row)} at stake")
    if row["due"]:
        said.append(f"first due {_until(row['due'], own)}")
    print(f"\n  [{row['id']}] {row['reason']}")
    print(f"      {', '.join(said)}")
    if row["assignee"] or row["note"]:
        who = f"{row['assignee']} is on it" if row["assignee"] else "nobody is on it"
        print(f"      {who}{': ' + row['note'] if row['note'] else ''}")
    if row["snoozed"]:
        print(f"      put off until {local(row['snoozed'], zone)}")
    print(f"      {row['next_step']}")
    if row["command"]:
        print(f"      > {row['command']}")


def _until(due: str, own: Opened) -> str:
    """A deadline with the time that is left, or that it is over."""
    left = (unstamp(due) - own.now).total_seconds()
    words = f"in {age(left)}" if left >= 0 else f"{age(-left)} ago"
    return f"{local(due, own.config.company.timezone)} ({words})"


def _print_put_off(rows: list[dict[str, Any]], zone: ZoneInfo) -> None:
    for row in rows:
        print(f"Put off until {local(row['snoozed'], zone)}: [{row['id']}] {row['reason']}")


def _print_plan_words(own: Opened) -> None:
    """Before everything else: what is not sent."""
    if own.network.plan_words:
        print(f"{own.network.plan_words} `truecount plan` lists what would be.\n")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


# ------------------------------------------------------------------ trace


def _trace(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        orders = views.find_order(own.connection, options.order)
        found = [views.trace(own.connection, order) for order in orders]
    if not found:
        print(f"There is no order {options.order!r}. Is it SYSTEM:NUMBER?", file=sys.stderr)
        return WRONG
    if options.json:
        emit_json(found)
        return FINE
    for order in found:
        _print_trace(order, own.config.company.timezone)
    return FINE


def _print_trace(order: dict[str, Any], zone: ZoneInfo) -> None:
    total = Money(order["total"]["minor"], order["total"]["currency"])
    print(f"{order['order']}  {order['state']}, payment {order['payment']}, total {total}\n")
    columns = ["sku", "ordered", "claimed", "short", "consumed", "cancelled"]
    print(table(order["lines"], columns, indent="  "))
    for one in order["returns"]:
        print(f"\n  return {one['return']} ({one['kind']}): {_facets(one)}")
    print()
    for step in order["walk"]:
        at = local(step["at"], zone, millis=True)
        # The numbers of claims and lines are for the proof; `--json` has them.
        skip = ("at", "stop", "stop_name", "what", "claim", "part_of", "line", "listing")
        words = "  ".join(
            f"{k}={v}" for k, v in step.items() if k not in skip and v not in ("", None)
        )
        print(f"  {at}  {step['stop']} {step['stop_name']:<10}  {step['what']:<22} {words}")
    for hold in order["holds"]:
        gone = (
            f"closed {local(hold['closed_at'], zone)}" if hold["closed_at"] else hold["next_step"]
        )
        print(f"\n  held: {hold['reason']}\n        {gone}")
        if hold["assignee"] or hold["note"]:
            print(f"        {hold['assignee'] or 'nobody'} is on it. {hold['note']}".rstrip())


# ------------------------------------------------------------------ what comes back


def _returns(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = return_views.open_returns(own.connection)
    if options.json:
        emit_json(found)
        return FINE
    if not found:
        print("No return is open.")
        return FINE
    rows = [
        {
            **row,
            "units": _units(row["lines"]),
            **{name.replace(" ", "_"): _for(row, name, own) for name in return_views.FACETS},
        }
        for row in found
    ]
    columns = ["order", "return", "kind", "custody", "units", "goods", "money", "credit_note"]
    print("Missing, and for how long:\n")
    print(table(rows, columns, indent="  "))
    return FINE


def _for(row: dict[str, Any], facet: str, own: Opened) -> str:
    """For how long one of the three is missing; nothing where it is there, or not due."""
    return since(row["missing"][facet], own.now) if facet in row["missing"] else ""


def _facets(one: dict[str, Any]) -> str:
    words = f"goods {one['custody'].replace('_', ' ')}, money {one['money']}"
    gone = f"; missing: {', '.join(one['missing'])}" if one["missing"] else ""
    units = _units(one["lines"])
    return f"{words}{gone}" + (f"  {units}" if units else "")


def _units(lines: list[dict[str, Any]]) -> str:
    """Units of each item, and of those what came in which condition."""
    words = []
    for line in lines:
        came = [
            f"{line[name]} {name}"
            for name in ("resellable", "damaged", "missing", "unknown")
            if line[name]
        ]
        words.append(
            f"{line['expected']} {line['sku']}" + (f" ({', '.join(came)})" if came else "")
        )
    return "; ".join(words)


# ------------------------------------------------------------------ holds, dead


def _holds(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        chosen = exceptions.open_ones(own.connection, own.now, options.hold)
        for row in chosen:
            if options.hold is not None or options.json:
                row["who"] = exceptions.members(own.connection, row["id"])
    needs = [row for row in chosen if not row["snoozed"] and not exceptions.waits(row)]
    if options.hold is not None and not chosen:
        print(f"There is no open exception {options.hold}.", file=sys.stderr)
        return WRONG
    if options.json:
        emit_json(chosen)
    elif options.hold is not None:
        _print_plan_words(own)
        _print_exception(chosen[0], own)
        print(_who(chosen[0], own))
    else:
        _print_plan_words(own)
        _print_needs(needs, own)
        _print_others(chosen, own)
    return FINDINGS if needs else FINE


def _print_others(chosen: list[dict[str, Any]], own: Opened) -> None:
    """What nobody has to do anything about: it ends by itself, or was put off."""
    waits = [row for row in chosen if exceptions.waits(row) and not row["snoozed"]]
    if waits:
        print("\nThese end by themselves:")
    for row in waits:
        _print_exception(row, own)
    put_off = [row for row in chosen if row["snoozed"]]
    print() if put_off else None
    _print_put_off(put_off, own.config.company.timezone)


def _who(row: dict[str, Any], own: Opened) -> str:
    """The members, what each costs and until when it may wait."""
    rows = [
        {
            "who": one["label"],
            "since": since(one["since"], own.now),
            "total": one.get("total"),
            "due": _until(one["due"], own) if one.get("due") else None,
        }
        for one in row["who"]
    ]
    columns = [name for name in ("who", "since", "total", "due") if any(one[name] for one in rows)]
    more: int = row["members"] - len(rows)
    return "\n" + table(rows, columns, indent="      ") + (f"\n      and {more} more" * (more > 0))


def _dead(options: argparse.Namespace) -> int:
    if options.command is not None:
        return _dead_letter(options)
    with opened(options.config) as own:
        found = views.dead(own.connection)
    if options.json:
        emit_json(found)
        return FINDINGS if found else FINE
    if not found:
        print("No command has been given up.")
        return FINE
    for row in found:
        print(f"[{row['id']}] {row['kind']} to {row['system']} for {row['order']}")
        print(f"     {row['words']}")
        behind = (
            f", {plural(row['waiting_behind'], 'command')} behind it"
            if row["waiting_behind"]
            else ""
        )
        print(f"     {plural(row['attempts'], 'attempt')}{behind}")
    print("\nOne of them in full, and what to do: truecount dead ID")
    print("When the cause is corrected: truecount retry [ID ...]")
    return FINDINGS


def _dead_letter(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        seal = seal_of(own.config)
        found = views.dead_letter(own.connection, seal, options.command, buyer=options.buyer)
    if found is None:
        print(f"There is no command {options.command}.", file=sys.stderr)
        return WRONG
    is_dead = found["state"] == "dead"
    if options.json:
        emit_json(found)
        return FINDINGS if is_dead else FINE
    zone = own.config.company.timezone
    state = found["state"].replace("_", " ")
    print(f"[{found['id']}] {found['kind']} to {found['system']} for {found['order']}: {state}")
    said = f"     {found['words']}\n" if found["words"] else ""
    print(f"{said}     key {found['key']}\n")
    rows = [{**one, "began_at": local(one["began_at"], zone)} for one in found["attempts"]]
    print(table(rows, ["n", "verb", "began_at", "result", "words"], indent="  "))
    for one in found["said"]:
        print(f"\n  {one['method']} {one['path']}\n{_indented(one['sent'])}")
        print(f"  answered {one['status'] or 'nothing'}\n{_indented(one['answer'])}")
    if is_dead:
        print(_what_now(found, own.config.systems[found["system"]].mappings))
    return FINDINGS if is_dead else FINE


def _indented(text: str) -> str:
    """A body to be read: JSON with its fields below each other."""
    try:
        shown = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        shown = text
    return textwrap.indent(shown, "    ") if shown else "    (no body)"


def _what_now(found: dict[str, Any], mappings: Path) -> str:
    number, file = found["id"], mappings / f"{found['kind']}.yaml"
    behind = plural(found["waiting_behind"], "command")
    mapping = f" (or {file}; its document is then made anew)" if file.exists() else ""
    return (
        f"\n{behind} wait{'s' if found['waiting_behind'] == 1 else ''} behind it.\n"
        f"Correct what it says in {found['system']}{mapping}: truecount retry {number}\n"
        f"It was done by hand, or is not needed: truecount discard {number} --reason TEXT --by NAME"
    )
