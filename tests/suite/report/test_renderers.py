"""Both renderers show the same blocks, and text stays text in each."""

import pytest

from rmsprop.suite.report import html, markdown
from rmsprop.suite.report.figures.canvas import Drawing
from rmsprop.suite.report.page import (
    Cell,
    Code,
    Detail,
    Facts,
    Figures,
    Heading,
    Link,
    Page,
    Sentences,
    Table,
    Tag,
    capped,
    drawings_of,
    headline,
    note,
    paragraph,
    warning,
)
from tests.suite.report.conftest import page_from

AWKWARD = "<b>|*x*_y_[z](http://example.org)`\n# 1. $a$"
DRAWING = Drawing("a-figure", "what it shows", "its caption", "<svg><desc></desc></svg>")
BLOCKS = (
    Heading("A heading", anchor="there"),
    headline("The answer."),
    warning("Beware."),
    paragraph("Run ", Code("rmsprop run"), ", see ", Link("the page", "gate.html"), "."),
    note("Beside a figure."),
    Sentences((("It is ", Tag("slower", "slower"), "."), "A second one.")),
    Facts({"Machine": "example"}),
    Figures((DRAWING,)),
    capped("A table", ("Name", "Time"), [("a", Cell("2 ms", 2e-3)), ("b", "–"), ("c", "–")], 2),
    Detail((Heading("Only on the site", level=3),)),
)


def test_html_has_each_block_in_its_element():
    page = page_from(BLOCKS)
    assert page.soup.h2.attrs == {"id": "there"}
    assert [p.get("class") for p in page.all("p")] == [["headline"], ["warning"], None, ["note"]]
    assert page.soup.code.get_text() == "rmsprop run"
    assert page.soup.find("a", href="gate.html").get_text() == "the page"
    assert [item.get_text() for item in page.all("li")] == ["It is slower.", "A second one."]
    assert page.soup.find(class_="slower").get_text() == "slower"
    assert (page.soup.dt.get_text(), page.soup.dd.get_text()) == ("Machine", "example")
    assert page.soup.figcaption.get_text() == "its caption"
    assert page.table("A table") == [["a", "2 ms"], ["b", "–"]]
    assert page.soup.td["data-key"] == "0.002"
    assert "(1 further rows are left out" in page.soup.caption.get_text()
    assert page.soup.h3.get_text() == "Only on the site"


def test_markdown_says_the_same_without_the_details_and_without_links_to_pages_of_the_site():
    assert (
        markdown.render(BLOCKS)
        == """\
### A heading

**The answer.**

**Beware.**

Run `rmsprop run`, see the page.

Beside a figure.

- It is slower.
- A second one.

- Machine: example

![what it shows](figures/a-figure.svg)

its caption

**A table**

| Name | Time |
| --- | --- |
| a | 2 ms |
| b | – |

1 further rows are left out here.

"""
    )


def test_the_figures_of_the_markdown_are_those_outside_the_details():
    blocks = (*BLOCKS, Detail((Figures((DRAWING, DRAWING)),)))
    assert len(list(drawings_of(blocks, details=False))) == 1
    assert len(list(drawings_of(blocks, details=True))) == 3


def test_text_stays_text_in_both():
    blocks = (Heading(AWKWARD), paragraph(AWKWARD, Code(AWKWARD)), Table(AWKWARD, (AWKWARD,), ((AWKWARD,),)))
    page = page_from(blocks)
    assert not page.all("b")
    assert page.soup.td is None
    assert page.soup.th.get_text() == AWKWARD
    text = markdown.render(blocks)
    assert "<b>" not in text
    assert "\n# 1" not in text
    assert text.count(r"\|\*x\*\_y\_\[z\](http://example.org)\`") == 6


@pytest.mark.parametrize(
    ("word", "safe"), [("1.", "1\\."), ("-", "\\-"), ("#", "\\#"), ("+", "\\+"), ("1.5", "1.5")]
)
def test_no_line_of_a_paragraph_begins_like_a_list_or_a_heading(word, safe):
    _, line, *_ = markdown.render((paragraph("word " * 28 + f"{word} end"),)).splitlines()
    assert line == f"{safe} end"


def test_a_table_too_wide_for_a_desktop_breaks_its_lines_and_no_number_from_its_unit():
    wide = Table("Wide", tuple(f"package.module:Name{i}" for i in range(12)), (("1 ms, 2.00× †",) * 12,))
    page = page_from((wide, Table("Narrow", ("A",), (("1 ms",),))))
    assert [table.get("class") for table in page.all("table")] == [["wide"], None]
    assert page.soup.td.get_text() == "1\N{NO-BREAK SPACE}ms, 2.00×\N{NO-BREAK SPACE}†"
    assert len(page.soup.thead.th.find_all("wbr")) == 2


def test_many_columns_have_their_names_written_downwards():
    page = page_from((Table("Many", tuple(map(str, range(13))), (("1",) * 13,)),))
    assert page.soup.table["class"] == ["wide", "many"]


def test_a_document_has_each_page_below_its_title_and_its_own_title_once():
    first, second = Page("index.html", "Title", BLOCKS[:1], "A"), Page("b.html", "Other", BLOCKS[1:2], "B")
    hidden = Page("c.html", "Hidden", BLOCKS, None, in_markdown=False)
    text = markdown.document("Title", (first, second, hidden))
    assert text == "# Title\n\n### A heading\n\n\n## Other\n\n**The answer.**\n\n"
    shown = page_from(())
    shown.__init__(html.document(first, (first, second, hidden)))
    assert [link.get_text() for link in shown.soup.nav.find_all("a")] == ["A", "B"]
    assert shown.soup.nav.find("a", {"aria-current": "page"}).get_text() == "A"
