"""The documentation as a site (`make docs`): Sphinx reads the pages as they are, from the repository's top on."""

import pathlib
import re

CARGO_TOML = (pathlib.Path(__file__).parent.parent / "Cargo.toml").read_text(encoding="utf-8")

project = "mod_wsgi in Rust"
author = "its developers"
copyright = author
release = version = re.search(r'(?m)^version = "([^"]+)"', CARGO_TOML)[1]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md", "tests/sites/README.md"]
myst_heading_anchors = 4
# Words in a block of code need not be of a language that Pygments knows.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"{project} {release}"
