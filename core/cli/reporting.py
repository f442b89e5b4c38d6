"""Verbs that prove: reconcile, report."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from typing import Any

from core import mailing, report
from core.cli.opened import Opened, opened
from core.cli.text import emit_json
from core.clock import day_of
from core.errors import ConfigError, Problem
from core.reconcile import Reconciliation

FINE, FINDINGS = 0, 1


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "compare owners with every copy, and name each difference"
    parser = verbs.add_parser("reconcile", parents=[shared], help=what, description=what)
    _day_options(parser)
    parser.set_defaults(run=_reconcile)
    what = "the morning mail: print it, write it, or send it"
    parser = verbs.add_parser("report", parents=[shared], help=what, description=what)
    _day_options(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--print", action="store_true", dest="show", help="print the text (default)")
    way.add_argument("--html", action="store_true", help="print the HTML")
    way.add_argument("--send", action="store_true", help="send it to the recipients of the config")
    parser.set_defaults(run=_report)


def _day_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--date",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="a day of the company's zone (default: yesterday)",
    )


def compared(own: Opened, day: date | None) -> Reconciliation:
    if day is None:
        day = day_of(own.now, own.config.company.timezone) - timedelta(days=1)
    return mailing.compared(own.config, own.network, own.connection, day, own.now)


def _reconcile(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = compared(own, options.date)
    if options.json:
        emit_json(report.as_json(found))
    else:
        print(report.as_text(found), end="")
    return FINDINGS if found.verdict == "ATTENTION" else FINE


def _report(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        found = compared(own, options.date)
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
