"""The same modules as workers: in one thread turn by turn, in threads, or in MPI processes on one host or many."""

from tinydni.parallel.message import Kind, Message, ProtocolError
from tinydni.parallel.plan import MODES, Plan
from tinydni.parallel.training import ParallelTraining
from tinydni.parallel.worker import WorkerError

__all__ = ["Kind", "MODES", "Message", "ParallelTraining", "Plan", "ProtocolError", "WorkerError"]
