"""A preview as one HTML page to send to a colleague: no script, nothing from outside, no buyer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from core.errors import Problem
from core.mapping.preview import Effect, Held
from core.mapping.preview_text import counts, headline, warning

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;"
    "color:#1b1f24;background:#fff}h1{font-size:1.3em}h2{font-size:1.1em;margin-top:2em}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.3em .8em;border-bottom:1px solid #d0d7de;overflow-wrap:anywhere}"
    "td.n{text-align:right;width:5em}del{color:#8a1c1c;text-decoration:none}"
    "ins{color:#0a5c2b;text-decoration:none}.warn{border-left:4px solid #b35900;"
    "padding:.5em 1em;background:#fff8ef}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "th,td{border-color:#30363d}del{color:#ff9b9b}ins{color:#7ee2a0}.warn{background:#2b1d0b}}"
)


def page(effect: Effect, problems: Sequence[Problem] = ()) -> str:
    """The whole page. Everything that came from a document is escaped."""
    body = [f"<h1>{escape(headline(effect))}</h1>", _counts(effect)]
    if effect.posted:
        body.append(f'<p class="warn">{escape(warning(effect))}</p>')
    if problems:
        shown = "".join(f"<li>{escape(str(one))}</li>" for one in problems)
        body.append(
            f'<div class="warn">Examples that do not come out as written:<ul>{shown}</ul></div>'
        )
    body += _fields(effect)
    body += _held("Would newly be held", effect.held.values())
    body += _held("Would be released, held until now", effect.released.values())
    if effect.nothing and effect.documents:
        body.append("<p>Nothing would change.</p>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(effect.mapping)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}<p>No buyer is on this page.</p></body></html>\n"
    )


def _counts(effect: Effect) -> str:
    rows = "".join(
        f'<tr><td class="n">{count}</td><td>{escape(words)}</td></tr>'
        for words, count in counts(effect)
        if count
    )
    return f"<table>{rows}</table>" if rows else "<p>Nothing of it is recorded.</p>"


def _fields(effect: Effect) -> list[str]:
    made = []
    for name, change in effect.fields.items():
        rows = "".join(
            f"<tr><td>{escape(one.label)}</td><td><del>{escape(one.before)}</del></td>"
            f"<td><ins>{escape(one.after)}</ins></td></tr>"
            for one in change.examples
        )
        made.append(
            f"<h2>{escape(name)}: {change.documents}</h2><table><tr><th>document</th>"
            f"<th>before</th><th>after</th></tr>{rows}</table>"
        )
    return made


def _held(title: str, groups: Iterable[Held]) -> list[str]:
    made = []
    for one in groups:
        members = "".join(f"<li>{escape(label)}</li>" for label in one.labels)
        more = one.documents - len(one.labels)
        rest = f"<li>and {more} more</li>" if more else ""
        made.append(
            f"<h2>{title}: {one.documents}</h2><p>{escape(one.reason)}<br>"
            f"{escape(one.next_step)}</p><ul>{members}{rest}</ul>"
        )
    return made
