"""What a check found, and how it is told."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Entry(NamedTuple):
    """One entry of the analytic gradient (got) beside the numerical one (expected)."""

    at: tuple
    got: float
    expected: float
    relative_error: float


@dataclass
class ArrayReport:
    """What was found about one gradient.

    gradient, shape: its name ("dW") and the shape it must have
    relative_error: along directions (of the worst entry, where entries had to be compared); None
        where there was nothing to compare
    message, diagnosis: what is wrong, and what looks like the reason; both "" if it is right
    entries: the worst entries; n_wrong of n_compared disagree
    verdict: "" (right), "WRONG" or "CANNOT TELL"
    """

    gradient: str
    shape: tuple
    relative_error: float | None = None
    message: str = ""
    diagnosis: str = ""
    entries: list = field(default_factory=list)
    n_wrong: int = 0
    n_compared: int = 0
    verdict: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was found right."""
        return not self.verdict


@dataclass(repr=False)
class Report:
    """What a check found about one object. `print(report)` tells it all.

    name: the class    arrays: one ArrayReport for each gradient
    problems: what is wrong besides the gradients    notes: what else a reader should know
    """

    name: str
    arrays: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all was found right."""
        return not self.problems and all(array.ok for array in self.arrays)

    @property
    def wrong(self) -> bool:
        """Whether anything was found wrong; neither is true where differences cannot tell."""
        return bool(self.problems) or any(array.verdict == "WRONG" for array in self.arrays)

    def __str__(self) -> str:
        bad = [array for array in self.arrays if not array.ok]
        said = [f"{self.name}: {problem}" for problem in self.problems]
        said += [f"{self.name}: {array.message} {array.diagnosis}".rstrip() for array in bad]
        if self.ok:
            said = [f"{self.name}: right. What backward says agrees with central differences in "
                    "float64."]
        said += [f"  {array.gradient:<16} {str(array.shape):<14} relative error "
                 f"{shown_error(array.relative_error):<8} {array.verdict}".rstrip()
                 for array in self.arrays]
        row = "  {:<16} {:>16} {:>16} {:>16}"
        for array in bad:
            if array.entries:
                said.append(row.format(array.gradient, "got", "expected", "relative error"))
            said += [row.format(str(at), shown(got, error), shown(expected, error),
                                shown_error(error)) for at, got, expected, error in array.entries]
        return "\n".join(said + [f"Note: {note}" for note in self.notes])

    __repr__ = __str__


class GradientError(AssertionError):
    """A gradient is wrong; the message is the report, which is also in `report`."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report


def shown(value, relative_error):
    """Write a value with as many digits as its error makes interesting."""
    value += 0.0        # turns -0 into 0
    return f"{value:.4g}" if relative_error > 0.01 else f"{value:.10g}"


def shown_error(error):
    """Write a relative error."""
    return "-" if error is None else f"{error:.1f}" if error >= 0.1 else f"{error:.1e}"
