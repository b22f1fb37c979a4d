"""The same modules as workers: turn by turn in one thread, in threads, or in MPI processes."""

from tinydni.lab.workers.message import Kind, Message, ProtocolError
from tinydni.lab.workers.parallel_training import ParallelTraining
from tinydni.lab.workers.plan import MODES, Plan
from tinydni.lab.workers.worker_base import WorkerError

__all__ = ["Kind", "MODES", "Message", "ParallelTraining", "Plan", "ProtocolError", "WorkerError"]
