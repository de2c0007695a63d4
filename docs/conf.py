"""The site of README, docs/, the studies and the results: `tox -e site`. A broken link is an error."""

project = "rmsprop-bench"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "reports/README.md", "studies/**.md"]
exclude_patterns = ["studies/gate/how.md"]  # a part of the page beside it
myst_heading_anchors = 4
html_theme = "furo"
html_title = project
suppress_warnings = ["myst.header"]  # the pages of the report begin below their title
