"""One option of the jobs: what it takes, what it needs and excludes, and what it says of that.

A condition is one or more terms, joined by "&": `name` (it is given), `name=a|b`, `name!=a|b`,
`name>other`.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """A row of the table: --name VALUE.

    Parameters
    ----------
    jobs : who has it: all "feedforward" jobs, all "recurrent" ones, or one of this name
    name, takes, help : as above
    needs : {condition: what to say where it does not hold}, for a user who gave the option
    excludes : {condition: what to say where it holds}
    default : where neither job nor method has one
    """

    jobs: str
    name: str
    takes: Any
    help: str
    needs: Mapping[str, str] = field(default_factory=dict)
    excludes: Mapping[str, str] = field(default_factory=dict)
    default: Any = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return dashed(self.name)

    def add(self, group: Any, default: Any) -> None:
        """Add it to a group of an argparse parser. What is not given stays None."""
        takes = self.takes
        shown = "" if default is None or default is False else f" (default {default})"
        how: dict = (takes if isinstance(takes, dict) else {"choices": takes}
                     if isinstance(takes, tuple) else {"metavar": takes}
                     if isinstance(takes, str) else {"type": takes, "metavar": "N"})
        group.add_argument(self.flag, dest=self.name, help=self.help + shown, **how)

    def objection(self, options: Mapping[str, Any]) -> str | None:
        """Return what is wrong with giving it beside the others, or None."""
        for rules, wrong in ((self.needs, False), (self.excludes, True)):
            for condition, sentence in rules.items():
                if holds(condition, options) == wrong:
                    return sentence.format(option=self.flag[2:], value=options.get(self.name),
                                           **options)
        return None

    def can_be(self, value: Any) -> bool:
        """Tell whether a value, such as one from a saved file, is one that could be given."""
        if value is None or isinstance(self.takes, str):
            return True
        if isinstance(self.takes, tuple):
            return value in self.takes
        if isinstance(self.takes, dict) and isinstance(value, bool):
            return True
        read = self.takes.get("type", {}.get) if isinstance(self.takes, dict) else self.takes
        try:
            said = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            return read(said) == value
        except (argparse.ArgumentTypeError, TypeError):
            return False


def holds(condition: str, options: Mapping[str, Any]) -> bool:
    """Tell whether all terms of a condition hold."""
    return all(term_holds(term, options) for term in condition.split("&"))


def term_holds(term: str, options: Mapping[str, Any]) -> bool:
    """Tell whether one term holds."""
    found = re.fullmatch(r"(\w+)(!=|=|>|)(.*)", term)
    assert found, term              # the terms are written in this file
    name, sign, other = found.groups()
    value = options.get(name)
    if sign == ">":
        return None not in (value, options.get(other)) and value > options[other]
    if sign:
        return (str(value) in other.split("|")) == (sign == "=")
    return value is not None and value is not False


def dashed(name: str) -> str:
    """Return an option as it is typed, such as --batch-size."""
    return "--" + name.replace("_", "-")
