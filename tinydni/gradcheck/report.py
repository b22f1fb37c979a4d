"""The old name of `gradient_report`, until the classroom imports the new one."""

from tinydni.gradcheck.gradient_report import table

__all__ = ["table"]
