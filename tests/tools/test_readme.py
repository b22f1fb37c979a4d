"""The README keeps its promises: its example prints what it says, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/results/*.md"),
         ROOT / "data" / "README.md", ROOT / "notebooks" / "README.md"]


def block(after):
    """The first fenced block after a marker."""
    return re.search(r"```\w*\n(.*?)```", README[README.index(after):], re.DOTALL)[1]


def test_the_example_prints_what_the_readme_says():
    example = block("<!-- example -->")
    assert len(example.splitlines()) <= 22
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("<!-- output -->")


def test_links_lead_to_files():
    found = [(page, link) for page in PAGES
             for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
             if "://" not in link]
    assert len(found) > 50
    missing = [(page.name, link) for page, link in found if not (page.parent / link).exists()]
    assert missing == []


def test_the_loop_of_the_example_is_the_one_in_the_code():
    def words(text):
        return "".join(text.split())
    source = (ROOT / "tinydni" / "algorithms.py").read_text()
    loop = re.search(r"    for below.*?update_synthetic_weights\(dx\)\n", source, re.DOTALL)[0]
    assert words(loop) in words(block("<!-- example -->"))


def test_the_reading_list_is_what_the_code_is_today():
    command = [sys.executable, ROOT / "docs" / "make_reading_list.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
