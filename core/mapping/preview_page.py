"""A preview as one HTML page to send to a colleague: no script, nothing from outside, no buyer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from core.errors import Problem
from core.mapping.preview import EXAMPLES_MAX, Effect, Held
from core.mapping.preview_text import advice, counts, versions, warning

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:56em;padding:0 1em;"
    "color:#1b1f24;background:#fff}h1{font-size:1.4em;margin-bottom:0}"
    "h2{font-size:1.1em;margin:2em 0 .3em}.sub{color:#57606a;margin-top:.2em}"
    "table{border-collapse:collapse;width:100%;table-layout:fixed}th{font-weight:600}"
    "th,td{text-align:left;vertical-align:top;padding:.35em .8em;overflow-wrap:anywhere;"
    "border-bottom:1px solid #d0d7de}th:first-child,td:first-child{width:46%}"
    ".counts{width:auto}.counts td:first-child{width:4em;text-align:right;font-weight:600;"
    "font-variant-numeric:tabular-nums}.bad{color:#8a1c1c}.good{color:#0a5c2b}.look{color:#8a4500}"
    "del{color:#8a1c1c;text-decoration:none}ins{color:#0a5c2b;text-decoration:none}"
    "ul{margin:.3em 0}.why{margin:.3em 0}code{font-family:ui-monospace,monospace;font-size:.92em;"
    "white-space:nowrap}.warn{border-left:4px solid #b35900;padding:.5em 1em;background:#fff8ef;"
    "margin:1em 0}.foot{margin-top:3em;color:#57606a;font-size:.9em}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "th,td{border-color:#30363d}.sub,.foot{color:#9198a1}.warn{background:#2b1d0b}"
    "del,.bad{color:#ff9b9b}ins,.good{color:#7ee2a0}.look{color:#f0b072}}"
)
#: How the eye is led to what a count means; the words say it as well.
_TONES = {
    "change": "look",
    "would newly be held": "bad",
    "would be released": "good",
    "would newly be left out": "look",
    "would no longer be left out": "look",
}


def page(effect: Effect, problems: Sequence[Problem] = ()) -> str:
    """The whole page. Everything that came from a document is escaped."""
    tried = f"{versions(effect)}, tried on {effect.documents} recorded documents"
    body = [
        f"<h1>What an edit of {escape(effect.mapping)} would do</h1>",
        f'<p class="sub">{escape(tried)}</p>',
        _counts(effect),
        *(f'<p class="warn">{_said(words)}</p>' for words in (warning(effect),) if words),
        *_problems(problems),
        *(f'<p class="why">{_said(words)}</p>' for words in (advice(effect),) if words),
        *_fields(effect),
        *_held("Would newly be held", effect.held.values(), advise=True),
        *_held("Would be released, held until now", effect.released.values(), advise=False),
        *_listed("Would newly be left out", effect.left_out),
        *_listed("Would no longer be left out", effect.let_in),
    ]
    if effect.nothing and effect.documents:
        body.append("<p>Nothing would change.</p>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(effect.mapping)}</title><style>{_STYLE}</style></head>"
        f'<body>{"".join(body)}<p class="foot">Made by `truecount mapping preview`. No buyer is on'
        " this page.</p></body></html>\n"
    ).replace("`truecount mapping preview`", "<code>truecount mapping preview</code>")


def _said(words: str) -> str:
    """Escaped, with what stands between ` ` as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words))


def _counts(effect: Effect) -> str:
    rows = "".join(
        f'<tr class="{_TONES.get(words, "")}"><td>{count}</td><td>{escape(words)}</td></tr>'
        for words, count in counts(effect)
        if count
    )
    return f'<table class="counts">{rows}</table>' if rows else "<p>Nothing of it is recorded.</p>"


def _problems(problems: Sequence[Problem]) -> list[str]:
    """A colleague has other folders: of a path the last two parts are enough."""
    if not problems:
        return []
    shown = ""
    for one in problems:
        near = str(one).replace(one.file, "/".join(one.file.split("/")[-2:]))
        shown += f"<li>{_said(near)}</li>"
    return [f'<div class="warn">Examples that do not come out as written:<ul>{shown}</ul></div>']


def _fields(effect: Effect) -> list[str]:
    made = []
    for name, change in effect.fields.items():
        rows = "".join(
            f"<tr><td>{escape(one.label.removesuffix(f' {name}'))}</td>"
            f"<td><del>{escape(one.before)}</del></td><td><ins>{escape(one.after)}</ins></td></tr>"
            for one in change.examples
        )
        documents = "document" if change.documents == 1 else "documents"
        made.append(
            f"<h2>{escape(name)}: {change.documents} {documents}</h2><table><tr><th>document</th>"
            f"<th>before</th><th>after</th></tr>{rows}</table>"
            f"{_more(change.documents - len(change.examples), 'p')}"
        )
    return made


def _held(title: str, groups: Iterable[Held], *, advise: bool) -> list[str]:
    """`advise`: what to do about it stands there; of what goes on nothing is left to do."""
    return [
        f'<h2>{title}: {one.documents}</h2><p class="why">{escape(one.reason)}</p>'
        + (f'<p class="why">{_said(one.next_step)}</p>' if advise else "")
        + _list(one.labels, one.documents)
        for one in groups
    ]


def _listed(title: str, labels: Sequence[str]) -> list[str]:
    if not labels:
        return []
    return [f"<h2>{title}: {len(labels)}</h2>{_list(labels[:EXAMPLES_MAX], len(labels))}"]


def _list(labels: Sequence[str], count: int) -> str:
    members = "".join(f"<li>{escape(label)}</li>" for label in labels)
    return f"<ul>{members}{_more(count - len(labels), 'li')}</ul>"


def _more(count: int, tag: str) -> str:
    return f"<{tag}>and {count} more</{tag}>" if count > 0 else ""
