"""What all workers of a run know: who holds what, in which mode, and how far one may run ahead."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from tinydni.algorithms import update_decoupled
from tinydni.dni import Network
from tinydni.variants.full_unlock import FullUnlock
from tinydni.lab.workers.data_parallel import DataParallel
from tinydni.lab.workers.decoupled import Decoupled
from tinydni.lab.workers.locked import Locked
from tinydni.lab.workers.unlocked import Unlocked

MODES = ("free", "lock-step", "locked", "data-parallel")
ROOM = 4            # batches on their way between two free-running workers


@dataclass
class Plan:
    """mode: one of MODES    unlock: whether inputs are synthetic, too

    ends: for each worker the number of modules up to and with its own, such as [2, 5] for two workers and five modules
    schedule: factor of the learning rates by step    warm_up: as in Network
    batch: function (index) -> (x, context, target), the examples    batch_size: their number
    room: batches that may be on their way between two workers
    recorded: (first, last) batches of which workers record what they do when, or None
    """

    mode: str
    ends: list
    schedule: Callable
    batch: Callable
    batch_size: int
    warm_up: int = 0
    unlock: bool = False
    room: int = ROOM
    recorded: tuple | None = None

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}.")
        if self.mode == "lock-step":
            self.room = 1

    def stage(self, network, rank):
        """The part of a network that a worker holds, as a Network; in data parallelism the whole."""
        if self.mode == "data-parallel":
            return Network(network.modules)
        start, stop = self.ends[rank - 1] if rank else 0, self.ends[rank]
        unlocked = isinstance(network.algorithm, FullUnlock)
        algorithm = network.algorithm.part(start, stop) if unlocked else update_decoupled
        return Network(network.modules[start:stop], algorithm)

    def worker(self, network, endpoint):
        """The worker for a place in a transport."""
        stage = self.stage(network, endpoint.rank)
        if self.mode == "data-parallel":
            return DataParallel(endpoint, deepcopy(stage) if endpoint.rank else stage, self)
        if self.mode == "locked":
            return Locked(endpoint, stage, self)
        return (Unlocked if self.unlock else Decoupled)(endpoint, stage, self)
