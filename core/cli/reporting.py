"""Verbs that prove: reconcile, report."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from typing import Any

from core import known_differences, mailing, report
from core.causes import CAUSES
from core.cli.opened import Opened, opened
from core.cli.text import emit_json, local
from core.clock import day_of
from core.errors import ConfigError, Problem
from core.money import Money
from core.reconcile import Reconciliation

FINE, FINDINGS = 0, 1


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "compare owners with every copy, and name each difference"
    parser = verbs.add_parser("reconcile", parents=[shared], help=what, description=what)
    _day_options(parser)
    parser.add_argument(
        "--seen", action="store_true", help="only which differences there are, as the daemon asks"
    )
    parser.set_defaults(run=_reconcile)
    what = "differences as the daemon knows them: since when, whose, written off by whom and why"
    parser = verbs.add_parser("differences", parents=[shared], help=what, description=what)
    parser.add_argument("--all", action="store_true", help="those that were resolved too")
    parser.set_defaults(run=_differences)
    what = "the morning mail: print it, write it, or send it"
    parser = verbs.add_parser("report", parents=[shared], help=what, description=what)
    _day_options(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--print", action="store_true", dest="show", help="print the text (default)")
    way.add_argument("--html", action="store_true", help="print the HTML")
    way.add_argument("--send", action="store_true", help="send it to the recipients of the config")
    parser.set_defaults(run=_report)


def _day_options(parser: argparse.ArgumentParser) -> None:
    day = parser.add_mutually_exclusive_group()
    day.add_argument("--today", action="store_true", help="the day that is not over yet")
    day.add_argument(
        "--date",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="a day of the company's zone (default: yesterday)",
    )


def _day(own: Opened, options: argparse.Namespace) -> date:
    today = day_of(own.now, own.config.company.timezone)
    return today if options.today else options.date or today - timedelta(days=1)


def compared(own: Opened, day: date) -> Reconciliation:
    return mailing.compared(own.config, own.network, own.connection, day, own.now)


def _reconcile(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = compared(own, _day(own, options))
    if options.seen:
        emit_json({"differences": known_differences.as_seen(found.differences)})
        return FINE
    if options.json:
        emit_json(report.as_json(found))
    else:
        print(report.as_text(found), end="")
    return FINDINGS if found.verdict == "ATTENTION" else FINE


def _differences(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = known_differences.listed(own.connection, ended=options.all)
    zone = own.config.company.timezone
    if options.json:
        emit_json(found)
    elif not found:
        print("No differences are known.")
    for one in found if not options.json else ():
        amount = f", {Money(one['minor'], one['currency'])}" if one["minor"] else ""
        units = f", {one['units']:+} units" if one["units"] else ""
        print(f"{one['id']}  {one['what']}: {one['key']}{units}{amount}")
        print(f"    {CAUSES[one['cause']].meaning}; since {local(one['first_at'], zone)}")
        if one["assignee"]:
            print(f"    {one['assignee']} is on it")
        if one["written_by"]:
            print(f"    written off by {one['written_by']}: {one['reason']}")
        if one["ended_at"]:
            print(f"    resolved {local(one['ended_at'], zone)}")
    alarming = [one for one in found if known_differences.alarms(one)]
    return FINDINGS if alarming else FINE


def _report(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = compared(own, _day(own, options))
        settings = own.config.report
    if options.send:
        if settings is None:
            raise ConfigError(
                [
                    Problem(
                        file=str(options.config),
                        line=1,
                        what="there is no `report:` in the configuration",
                        fix="Name recipients and an SMTP server there.",
                    )
                ]
            )
        sent = mailing.send(found, settings)
        if options.json:
            emit_json(sent)
        else:
            print(f"{sent['message_id']} {sent['words']}")
        return FINE
    if options.json:
        emit_json(report.as_json(found))
    elif options.html:
        print(report.as_html(found), end="")
    else:
        print(f"Subject: {report.subject(found)}\n\n{report.as_text(found)}", end="")
    return FINE
