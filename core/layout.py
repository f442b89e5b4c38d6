"""Sections of a report as plain text, as HTML for mail programs, and rows as CSV.

Text fits 80 columns: long cells are wrapped, and a table that cannot fit is laid
out one row below the other. HTML is escaped everywhere and asks nobody for
anything: no script, no remote picture, no link (T18, T22).
"""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

TEXT_WIDTH = 80
#: A longer word may be broken; a table that would break shorter ones goes downwards instead.
WORD_MAX = 24
_GAP = "  "
_INDENT = "  "
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure that is read first."""

    label: str
    value: str
    note: str = ""
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """Parts of a whole, drawn beside a row of the table."""

    parts: tuple[tuple[str, int], ...]

    @property
    def whole(self) -> int:
        return sum(count for _, count in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One heading with sentences and at most one table."""

    title: str
    words: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numbers: frozenset[int] = frozenset()  # columns set to the right
    alarm: bool = False
    toned: int = -1  # the column whose word has a color
    bars: tuple[Bar, ...] = ()
    tiles: tuple[Tile, ...] = ()


# ------------------------------------------------------------------ text


def text(sections: Sequence[Section], footer: str) -> str:
    """Plain text for any mail program."""
    parts: list[str] = []
    for section in sections:
        title = _one_line(section.title)
        parts += [*_wrapped(title.upper() if parts else title, ""), ""]
        for line in section.words:
            parts += _wrapped(_one_line(line), _INDENT)
        if section.tiles:
            parts += ["", *_text_tiles(section.tiles)]
        if section.rows:
            parts += [""] * bool(section.words) + _text_table(section)
        parts += ["", ""]
    return "\n".join([*parts, *_wrapped(footer, "")]) + "\n"


def _text_tiles(tiles: Sequence[Tile]) -> list[str]:
    width = max(len(tile.label) for tile in tiles)
    return [
        f"{_INDENT}{tile.label.ljust(width)}{_GAP}{tile.value}{f' ({tile.note})' * bool(tile.note)}"
        for tile in tiles
    ]


def _text_table(section: Section) -> list[str]:
    table = [section.columns, *(tuple(_one_line(cell) for cell in row) for row in section.rows)]
    for gap in (_GAP, " "):
        widths = _widths(table, section.numbers, len(gap))
        if widths is not None:
            return _across(table, widths, section.numbers, gap)
    return _downwards(section)


def _across(
    table: Sequence[Sequence[str]], widths: Sequence[int], numbers: frozenset[int], gap: str
) -> list[str]:
    """Row after row, each as many lines high as its highest cell."""
    lines: list[str] = []
    wrapped = False
    for row in table:
        cells = [
            textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
            for cell, width in zip(row, widths, strict=True)
        ]
        height = max(len(cell) for cell in cells)
        for index in range(height):
            parts = [cell[index] if index < len(cell) else "" for cell in cells]
            lines.append(_text_row(parts, widths, numbers, gap))
        if len(lines) == height:
            lines.append(_text_row(["-" * width for width in widths], widths, numbers, gap))
            continue
        wrapped |= height > 1
        if wrapped:
            lines.append("")  # rows of several lines are told apart by an empty one
    return lines[:-1] if lines[-1] == "" else lines


def _text_row(
    cells: Sequence[str], widths: Sequence[int], numbers: frozenset[int], gap: str
) -> str:
    padded = (
        cell.rjust(width) if index in numbers else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return (_INDENT + gap.join(padded)).rstrip()


def _widths(table: Sequence[Sequence[str]], numbers: frozenset[int], gap: int) -> list[int] | None:
    """As wide as needed; then headings give way, then texts, never a word. None: no fit."""
    heads, *rows = table
    columns = range(len(heads))
    widths = [max(len(row[index]) for row in table) for index in columns]
    least = [
        max(
            _longest_word(heads[index]),
            max(
                len(row[index]) if index in numbers else min(_longest_word(row[index]), WORD_MAX)
                for row in rows
            ),
        )
        for index in columns
    ]
    room = TEXT_WIDTH - len(_INDENT) - gap * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(columns, key=lambda index: (widths[index] > least[index], widths[index]))
        if widths[widest] <= least[widest]:
            return None
        widths[widest] -= 1
    return widths


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split()), default=0)


def _downwards(section: Section) -> list[str]:
    """One cell below the other, for rows that have too many of them."""
    width = max(len(column) for column in section.columns)
    lines: list[str] = []
    for row in section.rows:
        first, *rest = row
        lines += _wrapped(_one_line(first), _INDENT)
        for name, cell in zip(section.columns[1:], rest, strict=True):
            if cell:
                lines += textwrap.wrap(
                    _one_line(cell),
                    TEXT_WIDTH,
                    initial_indent=f"{_INDENT * 2}{name.ljust(width)}{_GAP}",
                    subsequent_indent=" " * (2 * len(_INDENT) + width + len(_GAP)),
                    break_on_hyphens=False,
                )
    return lines


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(
        line,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _one_line(cell: str) -> str:
    """Nothing a vendor wrote may begin a line of ours or ring a bell."""
    return " ".join("".join(c if c.isprintable() else " " for c in cell).split())


# ------------------------------------------------------------------ HTML

_TONES = {
    "unexplained": "bad",
    "OVERDUE": "bad",
    "explained": "calm",
    "in flight": "move",
    "ties": "good",
}
_PARTS = {"shipped": "#2e7d4f", "under way": "#5b8def", "held": "#e0a030", "cancelled": "#b9bfc8"}

_STYLE = """
body{margin:0;padding:24px 12px;background:#f2f4f7;color:#1d2530;
font:14px/1.45 -apple-system,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:940px;margin:0 auto;background:#fff;border:1px solid #e1e5eb;border-radius:10px}
header{padding:22px 28px 18px;border-radius:10px 10px 0 0;border-top:6px solid #2e7d4f}
header.alarm{border-top-color:#c0341d}
h1{font-size:19px;margin:0 0 8px;font-weight:600}
.verdict{font-size:16px;font-weight:600;margin:0 0 2px;color:#23693f}
.alarm .verdict{color:#b02a14}
header p{margin:0;color:#56606e}
.tiles{width:100%;border-collapse:collapse;margin:16px 0 0}
.tiles td{width:20%;padding:10px 12px;background:#f6f8fa;border-left:8px solid #fff;
vertical-align:top}
.tiles td:first-child{border-left:0}
.tiles td.alarm{background:#fdeeea}
.tiles b{display:block;font-size:17px;margin:1px 0;white-space:nowrap}
.tiles td.alarm b{color:#b02a14}
.tiles span{font-size:12px;color:#6a7482}
section{padding:4px 28px 14px;border-top:1px solid #edf0f3}
h2{font-size:15px;margin:14px 0 6px;font-weight:600}
h2.alarm{color:#b02a14}
section p{margin:0 0 6px;color:#56606e}
table.rows{border-collapse:collapse;width:100%;font-size:13px}
.rows th{text-align:left;color:#6a7482;font-weight:600;font-size:12px;padding:4px 14px 4px 0;
border-bottom:1px solid #d9dee5;white-space:nowrap}
.rows td{padding:6px 14px 6px 0;vertical-align:top;border-bottom:1px solid #f0f2f5}
.rows th.n,.rows td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.rows th:last-child,.rows td:last-child{padding-right:0}
.tone{display:inline-block;padding:0 8px;border-radius:9px;font-size:12px;white-space:nowrap;
background:#eef1f5;color:#4d5765}
.tone.bad{background:#fbe3de;color:#a8260f;font-weight:600}
.tone.good{background:#e2f3e8;color:#1f6a3c}
.tone.move{background:#e6eefc;color:#2450a4}
.bar{width:170px;border-collapse:collapse}
.bar td{height:12px;padding:0;border:0;font-size:0;line-height:0}
.bar{margin:3px 0 0}
.key{font-size:12px;color:#6a7482;margin:8px 0 0}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 0}
.key span{margin-right:14px}
footer{padding:14px 28px 18px;border-top:1px solid #edf0f3;color:#7a8492;font-size:12px}
""".replace("\n", "")


def page(sections: Sequence[Section], *, title: str, footer: str) -> str:
    """The same content for programs that show HTML."""
    first, *rest = sections
    body = _header(first) + "".join(_section(section) for section in rest)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}<footer>{_escape(footer)}</footer></main></body></html>\n"
    )


def _header(section: Section) -> str:
    mark = ' class="alarm"' if section.alarm else ""
    first, *rest = section.words
    words = "".join(f"<p>{_escape(line)}</p>" for line in rest)
    return (
        f"<header{mark}><h1>{_escape(section.title)}</h1>"
        f'<p class="verdict">{_escape(first)}</p>{words}'
        f'<table class="tiles" role="presentation"><tr>'
        f"{''.join(_tile(tile) for tile in section.tiles)}</tr></table></header>"
    )


def _tile(tile: Tile) -> str:
    mark = ' class="alarm"' if tile.alarm else ""
    return (
        f"<td{mark}><span>{_escape(tile.label)}</span>"
        f"<b>{_escape(tile.value)}</b><span>{_escape(tile.note)}</span></td>"
    )


def _section(section: Section) -> str:
    mark = ' class="alarm"' if section.alarm else ""
    parts = [f"<h2{mark}>{_escape(section.title)}</h2>"]
    parts += [f"<p>{_escape(line)}</p>" for line in section.words]
    if section.rows:
        parts.append(_html_table(section))
    return f"<section>{''.join(parts)}</section>"


def _html_table(section: Section) -> str:
    empty = frozenset(
        index
        for index in range(len(section.columns))
        if all(not row[index] for row in section.rows)
    )
    narrow = ' width="1%"' if section.numbers <= {0, 1} else ""
    heads = "".join(
        f"<th{_align(section, index)}{narrow if index in section.numbers else ''}>"
        f"{_escape(column)}</th>"
        for index, column in enumerate(section.columns)
        if index not in empty
    )
    drawn = any(bar.whole for bar in section.bars)
    more = "<th></th>" if drawn else ""
    rows = []
    for number, row in enumerate(section.rows):
        cells = "".join(
            f"<td{_align(section, index)}>{_cell(section, index, cell)}</td>"
            for index, cell in enumerate(row)
            if index not in empty
        )
        picture = f"<td>{_bar(section.bars[number])}</td>" if drawn else ""
        rows.append(f"<tr>{cells}{picture}</tr>")
    return (
        f'<table class="rows"><thead><tr>{heads}{more}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{_key(section.bars) if drawn else ''}"
    )


def _align(section: Section, index: int) -> str:
    return ' class="n"' if index in section.numbers else ""


def _cell(section: Section, index: int, cell: str) -> str:
    if index != section.toned or not cell:
        return _escape(cell)
    return f'<span class="tone {_TONES.get(cell, "")}">{_escape(cell)}</span>'


def _bar(bar: Bar) -> str:
    """A row of colored cells: what every mail program can draw."""
    if not bar.whole:
        return ""
    cells = "".join(
        f'<td width="{100 * count // bar.whole or 1}%" bgcolor="{_PARTS[name]}"'
        f' style="background:{_PARTS[name]}"></td>'
        for name, count in bar.parts
        if count
    )
    return f'<table class="bar" role="presentation"><tr>{cells}</tr></table>'


def _key(bars: Sequence[Bar]) -> str:
    names = [name for name, _ in bars[0].parts if any(dict(bar.parts)[name] for bar in bars)]
    words = "".join(
        f'<span><i style="background:{_PARTS[name]}"></i>{_escape(name)}</span>' for name in names
    )
    return f'<p class="key">{words}</p>'


def _escape(cell: str) -> str:
    return html.escape(_one_line(cell), quote=True)


# ------------------------------------------------------------------ CSV


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[str | int | Decimal]]) -> str:
    """Safe to open in a spreadsheet: a number stays one, no text can be a formula (T21)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    for row in rows:
        writer.writerow([_safe(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _safe(cell: str) -> str:
    plain = cell.replace("\0", "")  # no spreadsheet can show it, and some read on behind it
    return f"'{plain}" if cell.startswith(_FORMULA) or plain.startswith(_FORMULA) else plain
