"""The pages of the site, a module each."""

from rmsprop.suite.report.pages import (
    author,
    chapter,
    fused,
    gate,
    history,
    overview,
    peers,
    performance,
    problems,
    reproduction,
    sweep,
)

MODULES = (overview, reproduction, chapter, performance, author, fused, peers, sweep, history, gate, problems)
"""In the order of the navigation."""
