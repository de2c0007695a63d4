"""One report of made-up records, built once."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rmsprop.records.store import write_reproduction
from rmsprop.report.pages import build_report


class Page(HTMLParser):
    """An HTML page as its elements and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def page_of():
    """The page that stands in a folder of reports, parsed."""
    return lambda reports: Page((reports / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def results(tmp_path_factory, make_record) -> Path:
    """A folder with one complete record."""
    folder = tmp_path_factory.mktemp("results")
    write_reproduction(folder, make_record())
    return folder


@pytest.fixture(scope="session")
def reports(tmp_path_factory, results) -> Path:
    """The report of `results`."""
    folder = tmp_path_factory.mktemp("reports")
    build_report(results, folder)
    return folder


@pytest.fixture(scope="session")
def interrupted(make_record):
    """A record of a run that was stopped before its first training ended."""
    record = make_record(runs=0)
    programs = {name: replace(program, ensemble=None) for name, program in record.programs.items()}
    return replace(record, programs=programs, interrupted=True)
