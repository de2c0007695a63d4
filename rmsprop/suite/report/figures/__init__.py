"""How the figures are drawn: SVG text from records and verdicts."""
