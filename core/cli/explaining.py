"""`why`: every term of a SKU's number, now or at a moment that is over."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from core import walk
from core.cli.opened import Opened, opened
from core.cli.text import emit_json, local, moment, table
from core.explain import Only, why
from core.explain_past import why_at

FINE, WRONG = 0, 2


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "every term of a SKU's number and who was told it, now or then"
    parser = verbs.add_parser("why", parents=[shared], help=what, description=what)
    parser.add_argument("sku", metavar="SKU")
    parser.add_argument("--channel", metavar="C", default="", help="only what this channel sees")
    parser.add_argument("--location", metavar="L", default="", help="only this location")
    parser.add_argument(
        "--at",
        metavar="TIME",
        help='as it was then, from the log: "14:03" of today, "2026-11-25 14:03" in the'
        " company's zone, or with an offset, 2026-11-25T14:03+01:00",
    )
    parser.set_defaults(run=_why)


def _why(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        try:
            only, at = _only(own, options), _at(own, options.at)
        except ValueError as error:
            print(f"truecount why: {error}", file=sys.stderr)
            return WRONG
        if at is None:
            found = why(own.connection, own.network, own.now, options.sku, only)
        else:
            found = why_at(own.connection, own.network, at, options.sku, only)
    if found is None:
        print(f"No warehouse, ERP or channel has named the SKU {options.sku!r}.", file=sys.stderr)
        return WRONG
    if options.json:
        emit_json(found)
    else:
        _print(found, own.config.company.timezone, past=at is not None)
    return FINE


def _only(own: Opened, options: argparse.Namespace) -> Only:
    for kind, word, there in (
        ("channel", options.channel, own.network.channels),
        ("location", options.location, tuple(own.network.locations)),
    ):
        if word and word not in there:
            raise ValueError(f"no {kind} is called {word!r}; there are {', '.join(there)}")
    return Only(channel=options.channel, location=options.location)


def _at(own: Opened, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = moment(text, own.config.company.timezone, own.now)
    except ValueError as error:
        raise ValueError(f"--at {text!r} {error}") from None
    if at > own.now and not walk.goes_on_after(own.connection, at):
        raise ValueError(f"--at {text!r} is not over yet")
    return at


# ------------------------------------------------------------------ laid out


def _print(found: dict[str, Any], zone: ZoneInfo, *, past: bool) -> None:
    print(f"{found['sku']}{' as of ' + local(found['at'], zone) if past else ''}\n")
    if past and not found["network_of_then"]:
        print("The log does not yet say which configuration was in force then: it is today's.\n")
    for place in found["locations"]:
        _print_location(place, zone)
    for outlet in found["channels"]:
        _print_outlet(outlet, zone)
    if found.get("exposure"):
        print(f"\n{_exposure(found['exposure'])}")
    if found["copies"]:
        print("\nWhat others say (compared, never adopted)")
        print(table(found["copies"], ["system", "number", "place", "value"], indent="  "))
    if found["told"]:
        print("\nLast told" + (" by then" if past else ""))
        rows = [{**row, "at": local(row["at"], zone, millis=True)} for row in found["told"]]
        columns = ["at", "channel", "quantity", "pool", "quota", "outcome", "because"]
        said = [c for c in columns if any(row[c] not in (None, "") for row in rows)]
        print(table(rows, said, indent="  "))


def _exposure(found: dict[str, Any]) -> str:
    """The bound of G8 in words."""
    how = ", divided now" if found["policy"] == "adaptive" and found["is_divided"] else ""
    words = f"Policy {found['policy']}{how}: "
    if not found["at_most"]:
        return words + "no unit can be sold twice"
    likely = found["at_pace"]
    pace = "" if likely is None else f", {likely} at the measured pace"
    return words + f"at most {found['at_most']} units could be sold beyond the stock{pace}"


def _print_location(place: dict[str, Any], zone: ZoneInfo) -> None:
    print(f"At {place['location']}, by the word of {place['owner']} ({_reading(place, zone)})")
    print(f"  {place['supply']:>6}  supply")
    print(f"  {-place['claimed']:>6}  claims the supply does not yet exclude")
    if place["doubt"]:
        print(f"  {-place['doubt']:>6}  in doubt until they are read once more")
    print(f"  {-place['safety_stock']:>6}  safety stock")
    print(f"  {'-' * 6}")
    note = f"   OVERSOLD BY {place['oversold']}" if place["oversold"] else ""
    print(f"  {place['sellable']:>6}  may be sold{note}")
    for claim in place["claims"]:
        print(f"          {claim['units']} held for {claim['order']}: {_claim(claim, zone)}")
    if place["next_read_at"] and any(claim["waits_for"] for claim in place["claims"]):
        print(f"          {place['owner']} is read next at {local(place['next_read_at'], zone)}")
    print()


def _reading(place: dict[str, Any], zone: ZoneInfo) -> str:
    if place["read_at"] is None:
        return "never read"
    words = [place["basis"], f"read {local(place['read_at'], zone)}"]
    if place["as_of"]:
        words.append(f"as of {local(place['as_of'], zone)} by its own clock")
    if place["counter"] is not None:
        words.append(f"counter {place['counter']}")
    return ", ".join(words)


def _claim(claim: dict[str, Any], zone: ZoneInfo) -> str:
    if claim["excluded_by"]:
        words = str(claim["excluded_by"])
    elif claim["waits_for"]:
        words = f"{claim['state']}, waits for {claim['waits_for']}"
    else:
        words = "not shipped"
    ended = claim.get("ended_at")
    return f"{words}; ended {local(ended, zone)}" if ended else words


def _print_outlet(outlet: dict[str, Any], zone: ZoneInfo) -> None:
    place = f" at {outlet['place']}" if outlet["place"] else ""
    offer = outlet.get("available_to_sell")
    words = [f"pool {outlet['pool']}" if offer is None else f"offer {offer}"]
    if outlet.get("quota") is not None:
        words.append(f"its part shown {outlet['quota']['shown']}")
    if outlet["acknowledged"] is None:
        words.append("never acknowledged")
    else:
        when = local(outlet["acknowledged_at"], zone)
        words.append(f"acknowledged {outlet['acknowledged']} at {when}")
    settles = outlet["settles"]
    when = f" {local(settles['at'], zone)}" if settles["at"] else ""
    words.append(f"{settles['state']}{when}")
    trouble = f"  ({outlet['trouble']})" if outlet["trouble"] else ""
    print(f"{outlet['channel']}{place}: {', '.join(words)}{trouble}")
    for because in outlet.get("because", []):
        print(f"          {because}")
