"""What all workers of a run know: who holds what, in which mode, how far one may run ahead."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tinydni.algorithms import update_decoupled
from tinydni.dni import Network
from tinydni.lab.workers.data_parallel import DataParallel
from tinydni.lab.workers.late import Late
from tinydni.lab.workers.stages_in_a_row import Decoupled, Locked
from tinydni.lab.workers.unlocked import Unlocked
from tinydni.lab.workers.worker_base import Worker
from tinydni.variants.full_unlock import FullUnlock

MODES = ("free", "lock-step", "locked", "data-parallel")
ROOM = 4            # batches on their way between two free-running workers


@dataclass
class Plan:
    """Who does what.

    Parameters
    ----------
    mode : one of MODES
    ends : of each worker the number of modules up to and with its own, such as [2, 5]
    schedule : scale of the learning rates by step
    batch : function (index) -> (x, context, target), the examples
    batch_size, warm_up : number of examples; as in Network
    unlock : whether inputs are synthetic, too
    late : what comes late: "targets" of synthesizers, "gradients" of blocks, or nothing, ""
    room : batches that may be on their way between two workers
    recorded : (first, last) batches of which workers record what they do when, or None
    """

    mode: str
    ends: Sequence[int]
    schedule: Callable[[int], float]
    batch: Callable[..., tuple[Any, Any, Any]]
    batch_size: int
    warm_up: int = 0
    unlock: bool = False
    late: str = ""
    room: int = ROOM
    recorded: tuple[int, int] | None = None

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}.")
        if self.late not in ("", "targets", "gradients"):
            raise ValueError(f"late must be 'targets', 'gradients' or ''; got {self.late!r}.")
        if self.mode != "free":
            self.room = 1

    def stage(self, network: Network, rank: int) -> Network:
        """Return the part of a network that a worker holds; in data parallelism the whole."""
        if self.mode == "data-parallel":
            return Network(network.modules)
        start, stop = self.ends[rank - 1] if rank else 0, self.ends[rank]
        algorithm = network.algorithm
        return Network(network.modules[start:stop], algorithm.part(start, stop)
                       if isinstance(algorithm, FullUnlock) else update_decoupled)

    def worker(self, network: Network, endpoint: Any) -> Worker:
        """Return the worker for a place in a transport."""
        stage = self.stage(network, endpoint.rank)
        if self.mode == "data-parallel":
            return DataParallel(endpoint, deepcopy(stage) if endpoint.rank else stage, self)
        if self.mode == "locked":
            return Locked(endpoint, stage, self)
        kind = Unlocked if self.unlock else Late if self.late else Decoupled
        return kind(endpoint, stage, self)
