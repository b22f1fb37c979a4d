"""The examples in the docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import tinydni

PACKAGE = Path(tinydni.__file__).parent


def modules_with_examples():
    """The names of the library's modules whose source holds an example; only those are imported."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "classroom" / "assignments"):
            continue                                    # stubs, which are no part of the package
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            names.append(".".join(parts).removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_say(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0 and failed == 0                    # doctest prints which, and what it got


def test_the_library_has_examples():
    assert {"tinydni.dni", "tinydni.datasets.addition"} <= set(modules_with_examples())
