"""Verbs that only look: status, why, trace, holds, dead."""

from __future__ import annotations

import argparse
import sys
from typing import Any
from zoneinfo import ZoneInfo

from core import views
from core.cli.opened import Opened, opened
from core.cli.text import age, emit_json, local, plural, since, table
from core.money import Money

FINE, FINDINGS, WRONG = 0, 1, 2


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    def verb(name: str, what: str, run: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, parents=[shared], help=what, description=what
        )
        parser.set_defaults(run=run)
        return parser

    verb("status", "is everything alive, and what needs you", _status)
    why = verb("why", "every term of a SKU's number and who was told it", _why)
    why.add_argument("sku", metavar="SKU")
    trace = verb("trace", "one order's walk through the eight stops", _trace)
    trace.add_argument("order", metavar="SYSTEM:ORDER", help="for example shopify-main:#1001")
    holds = verb("holds", "open exceptions, one per cause, with what to do", _holds)
    holds.add_argument("hold", nargs="?", type=int, metavar="ID", help="show its members")
    verb("dead", "commands given up, with the other system's words", _dead)


# ------------------------------------------------------------------ status


def _status(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = views.status(own.connection, own.network, own.now)
    trouble = bool(found["needs_you"] or found["oversold"])
    if options.json:
        emit_json(found)
        return FINDINGS if trouble else FINE
    _print_needs(found["needs_you"], own)
    for row in found["oversold"]:
        print(f"  oversold by {row['units']}: {row['sku']} at {row['location']}")
        print(f"      in danger: {', '.join(row['orders'])}")
    for row in found["waits"]:
        print(f"Waiting by itself: {plural(row['members'], 'record')}, {row['reason']}")
    print("\nOrders    " + (_counts(found["orders"]) or "none yet"))
    print("Inbox     " + (_counts(found["inbox"]) or "empty"))
    if found["outbox"]:
        print("\nCommands")
        rows = [{**r, "oldest": since(r["oldest"], own.now)} for r in found["outbox"]]
        print(table(rows, ["system", "state", "commands", "oldest"], indent="  "))
    print("\nLast complete read of each owner")
    rows = [{**r, "age": age(r["age_s"]), "trouble": r["words"]} for r in found["sweeps"]]
    print(table(rows, ["system", "resource", "age", "rows", "trouble"], indent="  "))
    print("\nChannels")
    rows = [{**r, "last_told": since(r["last_told"], own.now)} for r in found["channels"]]
    print(table(rows, ["channel", "skus_waiting", "last_told"], indent="  "))
    return FINDINGS if trouble else FINE


def _print_needs(needs: list[dict[str, Any]], own: Opened) -> None:
    if not needs:
        print("Nothing needs you.")
        return
    print(f"{plural(len(needs), 'thing')} need{'s' if len(needs) == 1 else ''} you:")
    for row in needs:
        label = plural(row["members"], "record")
        print(f"\n  [{row['id']}] {row['reason']}")
        print(f"      {label}, since {since(row['since'], own.now)}. {row['next_step']}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


# ------------------------------------------------------------------ why


def _why(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = views.why(own.connection, own.network, own.now, options.sku)
    if found is None:
        print(f"No warehouse, ERP or channel has named the SKU {options.sku!r}.", file=sys.stderr)
        return WRONG
    if options.json:
        emit_json(found)
        return FINE
    zone = own.config.company.timezone
    print(f"{found['sku']}\n")
    for place in found["locations"]:
        _print_location(place, zone)
    for listing in found["channels"]:
        _print_channel(listing, zone)
    if found["copies"]:
        print("\nWhat others say (compared, never adopted)")
        print(table(found["copies"], ["system", "place", "value"], indent="  "))
    if found["told"]:
        print("\nLast told")
        rows = [{**row, "at": local(row["at"], zone, millis=True)} for row in found["told"]]
        print(table(rows, ["at", "channel", "quantity", "outcome"], indent="  "))
    return FINE


def _print_location(place: dict[str, Any], zone: ZoneInfo) -> None:
    when = local(place["read_at"], zone)
    print(
        f"At {place['location']}, by the word of {place['owner']} ({place['basis']}, read {when})"
    )
    print(f"  {place['supply']:>6}  supply")
    print(f"  {-place['claimed']:>6}  claims the supply does not yet exclude")
    print(f"  {-place['safety_stock']:>6}  safety stock")
    print(f"  {'-' * 6}")
    note = f"   OVERSOLD BY {place['oversold']}" if place["oversold"] else ""
    print(f"  {place['sellable']:>6}  may be sold{note}")
    for claim in place["claims"]:
        state = claim["excluded_by"] or (
            "shipped, waiting for a stock number that excludes it"
            if claim["state"] == "shipped"
            else "not shipped"
        )
        print(f"          {claim['units']} held for {claim['order']}: {state}")
    print()


def _print_channel(listing: dict[str, Any], zone: ZoneInfo) -> None:
    place = f" at {listing['place']}" if listing["place"] else ""
    print(f"{listing['channel']}{place}: offer {listing['available_to_sell']}", end="")
    if listing["acknowledged"] is None:
        print(", never acknowledged", end="")
    else:
        when = local(listing["acknowledged_at"], zone)
        print(f", acknowledged {listing['acknowledged']} at {when}", end="")
    print(f"  ({listing['trouble']})" if listing["trouble"] else "")


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
    print()
    for step in order["walk"]:
        at = local(step["at"], zone, millis=True)
        skip = ("at", "stop", "stop_name", "what")
        words = "  ".join(
            f"{k}={v}" for k, v in step.items() if k not in skip and v not in ("", None)
        )
        print(f"  {at}  {step['stop']} {step['stop_name']:<10}  {step['what']:<22} {words}")
    for hold in order["holds"]:
        gone = (
            f"closed {local(hold['closed_at'], zone)}" if hold["closed_at"] else hold["next_step"]
        )
        print(f"\n  held: {hold['reason']}\n        {gone}")


# ------------------------------------------------------------------ holds, dead


def _holds(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        needs = views.needs_you(own.connection)
        chosen = [row for row in needs if options.hold in (None, row["id"])]
        for row in chosen:
            if options.hold is not None or options.json:
                row["who"] = views.members(own.connection, row["id"])
    if options.json:
        emit_json(chosen)
        return FINDINGS if chosen else FINE
    _print_needs(chosen, own)
    for row in chosen:
        for member in row.get("who", []):
            print(f"      {member['label']}, since {since(member['since'], own.now)}")
    return FINDINGS if chosen else FINE


def _dead(options: argparse.Namespace) -> int:
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
    print("\nWhen the cause is corrected: truecount retry [ID ...]")
    return FINDINGS
