"""What an option may hold: functions that read its text, or say in a sentence why they cannot."""

import argparse
from collections.abc import Callable
from typing import Any

Reader = Callable[[str], Any]       # an argparse type


class OptionError(ValueError):
    """Options that do not fit together, or do not fit the data or the machine."""


def whole(least: int, most: int = 10**9) -> Reader:
    """Return a reader of whole numbers from `least` to `most`."""
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise refused("a whole number", text) from None
        if value < least:
            raise refused(f"at least {least}", text)
        if value > most:
            raise refused(f"at most {most:,}", text)
        return value
    return read


def number(holds: Callable[[float], bool], wanted: str) -> Reader:
    """Return a reader of numbers for which `holds`; `wanted` says the same in words."""
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise refused("a number", text) from None
        if not holds(value):
            raise refused(wanted, text)
        return value
    return read


def refused(wanted: str, text: str) -> argparse.ArgumentTypeError:
    """Return the error for a text that is not what is wanted."""
    shown = text if text.lstrip("-").isdecimal() else repr(text)
    return argparse.ArgumentTypeError(f"must be {wanted}; got {shown[:40]}")


def whole_numbers(least: int, most: int = 10**9) -> Reader:
    """Return a reader of whole numbers with commas between, such as 1,3."""
    read = whole(least, most)
    return lambda text: [read(part) for part in text.split(",")]


RATE = number(lambda value: 0 < value < float("inf"), "above 0 and finite")
PROBABILITY = number(lambda value: 0 < value <= 1, "above 0 and at most 1")
SHARE = number(lambda value: 0 <= value <= 1, "from 0 to 1")
THREADS = whole(1, 1024)


def shares(text: str) -> list[float]:
    """Read shares above 0 with commas between, such as 0.6,0.8."""
    return [PROBABILITY(part) for part in text.split(",")]
