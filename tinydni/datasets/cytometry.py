"""Blood cells measured in several centres: the 16 samples of DeepCyTOF (Li et al. 2017)."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tinydni import checks
from tinydni.datasets.download import RemoteFile, broken, find, read_bytes

SOURCE = ("https://raw.githubusercontent.com/KlugerLab/DeepCyTOF/"
          "ac924b10a77cf2d5c7ea43ea39a172898d71abb1/Data/MultiCenter_16sample/")
SHA256 = {
    "labels1.csv": "eaf76b0131f04bdefe1cb27b79f62dd89c7b0f89da7cc7e6cae696599e0e263e",
    "labels2.csv": "1b007c0e6a23536bac7fc993210a61b38ab4c45c60163764561e30a6bf728cb7",
    "labels3.csv": "163b40a649b14ca32b8b91156b86d1f97e5fe92a52ee16f807f65a2efed51f0a",
    "labels4.csv": "30f58cf230777fb08d51911012b850a51fa98386d8dba124262d8c980d0fc903",
    "labels5.csv": "35ec1f6e327c3b2ab187110bc0c63aefccc833b426e6418149f8f4192cb1f43c",
    "labels6.csv": "4d6cb20c0a4f711cd55649e0968c426804edb30b3ef0166456048068ff1f4168",
    "labels7.csv": "2f04224f50bfa34f7ecd1e8125162af5244cbf89673ae82428d3861e6b17d889",
    "labels8.csv": "414e436f0002e3ded9fa77a15bfe6e2ae483e284e2e8be087d22692ce12b99de",
    "labels9.csv": "95d0bfffc0108e3db38a4fcd94177a2bc0bc57fd67f6bc715743abc97446a902",
    "labels10.csv": "e05c0dc7101d484c7bb146038288dc2d324d86198f9aa166c4fea52bb0eefc15",
    "labels11.csv": "768564e9e4ad0b1a27f4d248a6d4572dd951d40360b4d43d25635a8c7934ba32",
    "labels12.csv": "5f1488ea402ee114cef4fdede6e8ddfa4ec6f9651c98f201be466e0cc563001b",
    "labels13.csv": "2c76ceada032a766e9c1af12a8822673dac087175b2fb80558e3fac875320f4a",
    "labels14.csv": "b1cc024d704c49d94bbc44024afb70dec76abfeb9930bb40e63721969e7ef9c4",
    "labels15.csv": "0dbe5287b3cc9b34618f0378a732c55ec001493cbe59bac5293019660b9739ba",
    "labels16.csv": "21202607c68e7a0141115c0f539adda7b7ce913978ed3728bff7b0c6c4fde177",
    "sample1.csv": "d3e53a442f61f467e08a2752aaaa28ce707013a916ad1fb4af3a0bf8417c4e23",
    "sample2.csv": "d89c78e91c90626ffdc6398a4b00ab5e1a25e6e93e85498b3f828d9e92155058",
    "sample3.csv": "748f4ae84a72b994c2329a1b731cb5eedb9bb897bd16030220e15ccb8f72b772",
    "sample4.csv": "a3f39b917ee073b574413833932615699dd991deb2628656856ab95da6be55e4",
    "sample5.csv": "95e89704359e5021658cc609994068235fbd2a3a0222f2b4c38a516cc8f3fcdf",
    "sample6.csv": "a599f4e45a689238aeec6a31c11cad38bb0435920a37449cf98311fa7c7a1d5e",
    "sample7.csv": "70f852fe462761e3917bf6f077623c67243b0287c696ca71e68c04a4e954b2cb",
    "sample8.csv": "08ea515df80cb3cdde2edf2335faae181f05a2d6bb45c1964ca16b2f154172d0",
    "sample9.csv": "c3197e53ef955078c7546d1d4075b5eedf1c088fdd3c6d13aadf01609b086092",
    "sample10.csv": "1c26fb172dd0d31373d8e633bf4a4370d2a85e09179881774fb40e737eb021bb",
    "sample11.csv": "6c7d0da03b444cc215ebf4f7379aeae01610dd64c92e79c69194fb94784061d5",
    "sample12.csv": "0f76341756bc086fb9a4e2eb085d1795a27097740ecb9ef265972110139feb8a",
    "sample13.csv": "c9931f2b0e5c325fa5559c84fa30b05fdd733508e737069e697b760326c249f4",
    "sample14.csv": "c9571f1596acac10804fa9c437436451f946f4e815de6b388f022e6e6ac26412",
    "sample15.csv": "a113390e1977e3e30b25fb2f542f9781e0ad9fecdef6e5108d9aad90e3c2f330",
    "sample16.csv": "56c03fd9147f6c9b7df02eca8faa8432833083187f78c917f48eaebd53cfa372",
}
FILES = {name: RemoteFile(f"deepcytof/{name}", (SOURCE + name,), f"sha256:{sha}")
         for name, sha in SHA256.items()}
SAMPLES = range(1, 17)
N_MARKERS, N_TYPES = 8, 4


@dataclass(frozen=True, eq=False)
class Cells:
    """One sample of cells.

    counts (N, 8) : float32, ion counts of 8 markers, at least 0
    labels (N,) : int64, the cell type an expert gave, 1 ... 4; 0 where he left the cell out ("not
        gated")
    """

    name: str
    counts: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)

    @property
    def gated(self) -> np.ndarray:
        """(N,) bool: the cells that have a type."""
        return self.labels > 0


def cytometry(sample: int) -> Cells:
    """The cells of one of the 16 samples, from deepcytof/ in $TINYDNI_DATA, else by download.

    Samples 1 to 8 were measured much alike, 9 to 16 differ from them. Neither the markers nor the
    four cell types are named by the source. About 3 MB each.

    Raises
    ------
    ValueError : for an unknown sample
    DataError : if a file is missing or broken; it names the file
    """
    if checks.check_positive_int(sample, "sample") not in SAMPLES:
        raise ValueError(f"sample must be a number from 1 to 16; got {sample}.")
    counts_path, counts = read(f"sample{sample}.csv", np.float32, ndmin=2)
    labels_path, labels = read(f"labels{sample}.csv", np.int64, ndmin=1)
    if counts.shape[1] != N_MARKERS:
        raise broken(counts_path, f"should hold {N_MARKERS} numbers per line")
    if not np.isfinite(counts).all() or counts.min(initial=0) < 0:
        raise broken(counts_path, "holds counts that are negative or not finite")
    if labels.shape != (len(counts),):
        raise broken(labels_path, f"should hold one label for each of {len(counts):,} cells; it "
                                  f"holds {labels.size:,}")
    if labels.size == 0 or labels.min() < 0 or labels.max() > N_TYPES:
        raise broken(labels_path, f"holds no labels, or some outside 0 ... {N_TYPES}")
    return Cells(f"sample {sample}", counts, labels)


def read(name: str, dtype: type, ndmin: Literal[1, 2]) -> tuple[Path, np.ndarray]:
    """Path and numbers of one file."""
    path = find(FILES[name])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)        # of an empty file
            lines = read_bytes(path).decode().splitlines()
            return path, np.loadtxt(lines, delimiter=",", dtype=dtype, ndmin=ndmin)
    except ValueError as error:
        raise broken(path, f"is not a table of numbers ({error})") from error
