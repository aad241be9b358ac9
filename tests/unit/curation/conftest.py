"""Sources made on the spot: PDFs and EPUBs with what real ones have, and files that are not what they seem."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image, ImageDraw

Chapters = Sequence[tuple[str, Sequence[str]]]
MakePdf = Callable[..., Path]
MakeEpub = Callable[..., bytes]


class Book(FPDF):
    """Pages with a running header and a page number, as printed books have; without them on request."""

    running = True

    def header(self) -> None:
        if not self.running:
            return
        self.set_font("Times", size=9)
        self.cell(0, 6, f"The Little Book of Tests   {self.page_no()}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def footer(self) -> None:
        if not self.running:
            return
        self.set_y(-15)
        self.set_font("Times", size=9)
        self.cell(0, 6, f"- {self.page_no()} -", align="C")


@pytest.fixture
def make_book(tmp_path: Path) -> MakePdf:
    def make(
        chapters: Chapters, *, outline: bool = False, width_mm: float = 0, password: str = "", running: bool = False
    ) -> Path:
        book = Book()
        book.running = running
        for title, paragraphs in chapters:
            book.add_page()
            if outline:
                book.start_section(title)
            book.set_font("Times", size=11 if outline else 16)
            book.multi_cell(0, 8, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            book.set_font("Times", size=11)
            for paragraph in paragraphs:
                book.multi_cell(width_mm, 6, paragraph, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if password:
            book.set_encryption(owner_password="owner", user_password=password)
        path = tmp_path / "book.pdf"
        book.output(str(path))
        return path

    return make


@pytest.fixture
def scanned_pdf(tmp_path: Path) -> Path:
    picture = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(picture).text((20, 20), "a page of a scanned book", fill="black")
    pdf = FPDF()
    for _ in range(2):
        pdf.add_page()
        pdf.image(picture, w=100)
    path = tmp_path / "scan.pdf"
    pdf.output(str(path))
    return path


@pytest.fixture(scope="session")
def make_epub() -> MakeEpub:
    def make(
        chapters: Sequence[str | bytes],
        *,
        ncx: str = "",
        nav: str = "",
        files: Mapping[str, str | bytes] | None = None,
        aside: Sequence[int] = (),
    ) -> bytes:
        """The bodies of its files, or whole files, in the order of the spine: text/1.xhtml, text/2.xhtml and so on.

        Those of the numbers `aside` are not linear.
        """
        names = [f"text/{number}.xhtml" for number in range(1, len(chapters) + 1)]
        items = "".join(f'<item id="c{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names)
        items += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>' if nav else ""
        items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>' if ncx else ""
        linear = ["no" if number in aside else "yes" for number in range(1, len(names) + 1)]
        spine = "".join(
            f'<itemref idref="c{n}" linear="{is_linear}"/>' for n, is_linear in zip(names, linear, strict=True)
        )
        held = {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OPS/p.opf"/></rootfiles></container>',
            "OPS/p.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
            **({"OPS/nav.xhtml": nav} if nav else {}),
            **({"OPS/toc.ncx": ncx} if ncx else {}),
            **{
                f"OPS/{name}": chapter
                if isinstance(chapter, bytes)
                else f'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>{chapter}</body></html>'
                for name, chapter in zip(names, chapters, strict=True)
            },
            **(files or {}),
        }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in held.items():
                archive.writestr(name, content)
        return packed.getvalue()

    return make
