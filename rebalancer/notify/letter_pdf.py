"""A letter as PDF: the only module that speaks ReportLab, which it loads when it makes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any
from unicodedata import normalize
from xml.sax.saxutils import escape

from rebalancer.notify.letter_sections import LetterTable, Section

MARGIN = 56
WIDTH, HEIGHT = 480, 110
"""Of the line, in points; the page is A4."""
FAINT = "#666666"
NOT_SHOWN = (
    "The font of this file has the letters of western Europe. Of others the nearest one stands here, or a ?; the page "
    "and the message that this comes with have them as they are."
)


def pdf(title: str, sections: Sequence[Section]) -> bytes:
    """The letter, an account after the other; the same sections give the same bytes."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 - half a second, which only those pay who write letters
    from reportlab.lib.styles import getSampleStyleSheet  # noqa: PLC0415 - as above
    from reportlab.platypus import Paragraph, SimpleDocTemplate  # noqa: PLC0415 - as above

    styles = getSampleStyleSheet()
    font = Font()
    parts: list[Any] = [Paragraph(font.text(title), styles["Title"])]
    for section in sections:
        parts += _section(section, styles, font)
    if font.lacked:
        parts.append(Paragraph(NOT_SHOWN, styles["Italic"]))
    made = BytesIO()
    document = SimpleDocTemplate(made, pagesize=A4, title=title, author="Rebalancer", invariant=1)
    document.leftMargin = document.rightMargin = document.topMargin = document.bottomMargin = MARGIN
    document.build(parts, onFirstPage=_numbered, onLaterPages=_numbered)
    return made.getvalue()


class Font:
    """Helvetica, which every reader of PDF has, with what stands in for letters that it lacks.

    Attributes:
        lacked: something did.
    """

    def __init__(self) -> None:
        from reportlab.pdfbase.pdfmetrics import getFont  # noqa: PLC0415 - as in pdf

        helvetica = getFont("Helvetica")
        self._encodings = [font.encName for font in (helvetica, *helvetica.substitutionFonts)]
        self.lacked = False

    def plain(self, text: str) -> str:
        """With letters that it has."""
        shown = "".join(map(self._nearest, normalize("NFC", text)))
        self.lacked |= shown != normalize("NFC", text)
        return shown

    def text(self, text: str) -> str:
        """The same for a paragraph."""
        return escape(self.plain(text))

    def _nearest(self, letter: str) -> str:
        base = normalize("NFKD", letter)[0]
        return next((one for one in (letter, base) if self._has(one)), "?")

    def _has(self, letter: str) -> bool:
        for encoding in self._encodings:
            with suppress(UnicodeEncodeError):
                letter.encode(encoding)
                return True
        return False


def _section(section: Section, styles: Any, font: Font) -> Iterator[Any]:
    from reportlab.platypus import KeepTogether, Paragraph, Spacer  # noqa: PLC0415 - as in pdf

    facts = [
        Paragraph(f"<b>{font.text(name)}</b>: {font.text(told)}", styles["BodyText"]) for name, told in section.facts
    ]
    yield KeepTogether([Paragraph(font.text(section.title), styles["Heading1"]), *facts])
    if len(section.line) > 1:
        yield KeepTogether([Paragraph("Equity by day", styles["Heading3"]), _line(section)])
    for one in section.tables:
        yield Paragraph(font.text(one.title), styles["Heading3"])
        yield _table(one, font)
        yield from (Paragraph(font.text(remark), styles["Italic"]) for remark in one.remarks)
    yield Spacer(1, 16)


def _table(one: LetterTable, font: Font) -> Any:
    from reportlab.platypus import Table  # noqa: PLC0415 - as in pdf

    return Table(
        [[font.plain(cell) for cell in row] for row in (one.head, *one.rows)],
        repeatRows=1,
        hAlign="LEFT",
        style=[
            ("FONTSIZE", (0, 0), (-1, -1), 9),
            ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.5, "black"),
            ("LINEBELOW", (0, 1), (-1, -1), 0.25, "lightgrey"),
        ],
    )


def _line(section: Section) -> Any:
    """Equity by day between its least and most, with both in percent of the first day."""
    from reportlab.graphics.shapes import Drawing, PolyLine, String  # noqa: PLC0415 - as in pdf

    values = [float(value) for _, value in section.line]
    low, high = min(values), max(values)
    first, last = section.line[0][0], section.line[-1][0]
    days, height = (last - first).days, high - low or 1.0
    drawing = Drawing(WIDTH, HEIGHT)
    points = [
        coordinate
        for (day, _), value in zip(section.line, values, strict=True)
        for coordinate in (WIDTH * (day - first).days / days, 16 + (HEIGHT - 32) * (value - low) / height)
    ]
    drawing.add(PolyLine(points, strokeWidth=1.2))
    for x, y, text, anchor in (
        (0, 2, str(first), "start"),
        (WIDTH, 2, str(last), "end"),
        (0, HEIGHT - 10, f"{low:.1%} to {high:.1%} of the first day", "start"),
    ):
        drawing.add(String(x, y, text, fontSize=8, fontName="Helvetica", textAnchor=anchor))
    return drawing


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(FAINT)
    canvas.drawRightString(document.pagesize[0] - MARGIN, MARGIN / 2, f"{document.page}")
