"""`import cupy` gives the fake device, in a process that has this folder and tests/ in its path.

So a command is tried in processes of its own, as on a machine with a GPU.
"""

import sys
import types

import fake_graph
from fake_device import xp

from tinydni.gpu import cublas

xp.__version__ = "0 (a stand-in)"
xp.get_default_memory_pool = lambda: types.SimpleNamespace(total_bytes=lambda: 10**6,
                                                           free_all_blocks=lambda: None)
cublas.library_of = lambda cupys: fake_graph.library()
sys.modules["cupy"] = xp
