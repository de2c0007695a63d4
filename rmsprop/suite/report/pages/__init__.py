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
    terms,
)

MODULES = (
    overview,
    reproduction,
    chapter,
    performance,
    author,
    fused,
    peers,
    sweep,
    history,
    gate,
    terms,
    problems,
)
"""In the order of the navigation."""
