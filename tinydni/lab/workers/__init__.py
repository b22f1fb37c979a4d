"""The same modules as workers: in one thread turn by turn, in threads, or in MPI processes on one host or many."""

from tinydni.lab.workers.message import Kind, Message, ProtocolError
from tinydni.lab.workers.plan import MODES, Plan
from tinydni.lab.workers.training import ParallelTraining
from tinydni.lab.workers.worker import WorkerError

__all__ = ["Kind", "MODES", "Message", "ParallelTraining", "Plan", "ProtocolError", "WorkerError"]
