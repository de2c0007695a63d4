"""The pages of the site, a module each."""

from rmsprop.suite.report.pages import (
    chapter,
    fused,
    gate,
    history,
    overview,
    peers,
    performance,
    problems,
    reproduction,
)

MODULES = (overview, reproduction, chapter, performance, fused, peers, history, gate, problems)
"""In the order of the navigation."""
