"""The page of terms says what the glossary says, and is there for every reader of the report."""

import re
from pathlib import Path

import pytest

from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.pages import terms
from tests.suite.report.conftest import page_from

GLOSSARY = Path(__file__).parents[3] / "docs" / "glossary.md"


def glossary():
    """What the document says of each term, below each heading, as plain text in one line."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", GLOSSARY.read_text("utf-8"))
    plain = text.replace("**", "").replace("`", "")
    found = {}
    for section in plain.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        entries = re.sub(r"\s+", " ", body.replace("\n- ", "\0")).split("\0")
        found[heading] = dict(
            entry.strip().removeprefix("- ").split(": ", 1) for entry in entries if entry.strip()
        )
    return found


@pytest.mark.parametrize(
    ("heading", "term"), [(heading, term) for heading, listed in terms.TERMS.items() for term in listed]
)
def test_a_term_of_the_page_means_what_the_glossary_says(heading, term):
    assert glossary()[heading][term] == terms.TERMS[heading][term]


def test_the_navigation_leads_to_the_terms_also_where_nothing_was_measured(tmp_path, page_of):
    (tmp_path / "results").mkdir()
    build_report(tmp_path / "results", tmp_path / "reports")
    assert "terms.html" in {link["href"] for link in page_of(tmp_path / "reports").soup.nav.find_all("a")}
    shown = page_of(tmp_path / "reports", "terms")
    assert {head.get_text() for head in shown.all("dt")} == {
        term for listed in terms.TERMS.values() for term in listed
    }


def test_in_somebody_elses_repository_the_terms_of_the_book_are_left_out(tmp_path, put):
    put("package.module:Mine", commit=None, dirty=None)
    [page] = terms.pages(read_inputs(tmp_path / "results"))
    assert "What is claimed" not in page_from(page.blocks).text
    assert "Speed-up" in page_from(page.blocks).text
