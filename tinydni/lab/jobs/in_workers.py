"""The old place of jobs/parallel.py, for files that still name it."""

from tinydni.lab.jobs.parallel import follower as follower
from tinydni.lab.jobs.parallel import processes as processes
from tinydni.lab.jobs.parallel import started as started
