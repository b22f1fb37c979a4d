"""The README keeps its promises: its example prints what it says, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(after):
    """The first fenced block after a marker."""
    return re.search(r"```\w*\n(.*?)```", README[README.index(after):], re.DOTALL)[1]


def test_the_example_prints_what_the_readme_says():
    example = block("<!-- example -->")
    assert len(example.splitlines()) <= 16
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("<!-- output -->")


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_six_lines_are_the_ones_in_the_code():
    source = (ROOT / "tinydni" / "dni" / "schedules.py").read_text()
    body = block("is [six lines]")
    assert "".join(body.split()) in "".join(source.split())
