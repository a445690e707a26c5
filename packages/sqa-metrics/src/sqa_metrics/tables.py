"""Print a table of cells as aligned text, Markdown or LaTeX (booktabs), for terminals and papers."""

from collections.abc import Sequence
from typing import Literal

from sqa_metrics.rows.ids import shown

Style = Literal["text", "markdown", "latex", "html"]

ESCAPES: dict[str, dict[str, str]] = {
    "text": {},
    "markdown": {"|": r"\|"},
    "html": {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"},
    "latex": {c: "\\" + c for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
}


def render(
    header: Sequence[str], rows: Sequence[Sequence[str]], style: Style = "text", width: int | None = None
) -> str:
    """Lay out `rows` under `header`; the first column is text (left), the others numbers (right).

    Text that is wider than `width` gets its first column above the others. What does not print is escaped.

    >>> print(render(["level", "LCC"], [["utterance", "0.608"], ["system", "0.461"]]))
    level        LCC
    utterance  0.608
    system     0.461
    >>> print(render(["level", "LCC"], [["system", "0.461"]], "markdown"))
    | level  |   LCC |
    |:-------|------:|
    | system | 0.461 |
    """
    header, *rows = [[escaped(cell, style) for cell in row] for row in (header, *rows)]
    if style == "latex":
        body = [" & ".join(row) + r" \\" for row in (header, *rows)]
        columns = "l" + "r" * (len(header) - 1)
        begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
        return "\n".join([begin, r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule", end])
    if style == "html":
        lines = [_html_row(row, "td") for row in rows]
        return "\n".join(["<table>", _html_row(header, "th"), *lines, "</table>"])
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]

    def line(row: Sequence[str]) -> list[str]:
        return [
            c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ]

    if style == "markdown":
        rule = "|" + "|".join(
            (":" + "-" * (w + 1)) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(widths)
        )
        lines = ["| " + " | ".join(line(row)) + " |" for row in (header, *rows)]
        return "\n".join([lines[0], rule + "|", *lines[1:]])
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        first = None
        lines = []
        for row in (header, *rows):
            if row[0] != first:
                lines.append(row[0])
            first = row[0]
            lines.append("  " + "  ".join(line(row)[1:]))
        return "\n".join(lines)
    return "\n".join("  ".join(line(row)).rstrip() for row in (header, *rows))


def escaped(text: str, style: Style) -> str:
    """A text as it stands in a table of this style: what does not print, and the style's own characters, escaped.

    >>> escaped("a<b\x1b", "html"), escaped("a_b", "latex")
    ('a&lt;b\\\\x1b', 'a\\\\_b')
    """
    return "".join(ESCAPES[style].get(c, c) for c in shown(text))


def _html_row(cells: Sequence[str], tag: str) -> str:
    aligned = (
        f'<{tag} style="text-align:{"left" if k == 0 else "right"}">{cell}</{tag}>'
        for k, cell in enumerate(cells)
    )
    return f"<tr>{''.join(aligned)}</tr>"


def percent(share: float) -> str:
    """A level of confidence or a coverage, with all its digits.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * share:g}%"


def p_value(value: float) -> str:
    """A p-value for a cell.

    >>> p_value(0.0004), p_value(0.04)
    ('<0.001', '0.040')
    """
    return "<0.001" if value < 0.001 else figure(value)


def figure(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """A figure for a cell: fixed digits, "-" for what is undefined.

    >>> figure(0.61164), figure(None), figure(float("nan"))
    ('0.612', '-', '-')
    """
    return "-" if value is None or value != value else f"{value:{'+' if sign else ''}z.{digits}f}"
