"""The old place of jobs/ranges.py, for files that still name it."""

from tinydni.lab.jobs.ranges import OptionError as OptionError
from tinydni.lab.jobs.ranges import whole as whole
