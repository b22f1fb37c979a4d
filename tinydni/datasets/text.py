"""tinyshakespeare: 1,115,394 characters of plays, as a row of symbols (Karpathy 2015)."""

from dataclasses import dataclass, field

import numpy as np

from tinydni.datasets.download import RemoteFile, broken, data_folder, find, read_bytes

FILE = RemoteFile(
    "tinyshakespeare/input.txt",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/"
     "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",),
    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    lookalikes=(("*shakespeare*.txt", ""),))
OFFICIAL = 1_115_394        # characters
SHARES = (0.9, 0.95)        # where the validation and the test part begin


@dataclass(frozen=True, eq=False)
class Text:
    """A text as symbols 0 ... K-1, cut once into three parts that follow one another.

    Parameters
    ----------
    alphabet : the K characters, in order of their code
    train, validation, test (characters,) : int64 symbols
    notes : sentences for the report
    """

    alphabet: str
    train: np.ndarray = field(repr=False)
    validation: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()

    def spell(self, symbols: np.ndarray) -> str:
        """The characters of a row of symbols."""
        return "".join(self.alphabet[symbol] for symbol in symbols)


def tinyshakespeare() -> Text:
    """The text, from tinyshakespeare/ in $TINYDNI_DATA if that is set, else from cache or download.

    The first 90 % are to train on, then 5 % each for validation and test. A local copy may be
    shorter (a note says how long). Raises DataError, which names the file, if it is missing, not
    text, or has too few characters.
    """
    path = find(FILE)
    try:
        text = read_bytes(path).decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise broken(path, f"is not text in UTF-8 ({error})") from error
    if not 1000 <= len(text) <= OFFICIAL:
        raise broken(path, f"holds {len(text):,} characters; it must hold 1,000 to {OFFICIAL:,}")
    alphabet = "".join(sorted(set(text)))
    symbols = np.searchsorted(np.array(list(alphabet)), np.array(list(text)))
    source = "the official" if data_folder() is None else "a local"
    notes = [f"tinyshakespeare from {source} file: {len(text):,} characters, {len(alphabet)} "
             "different ones."]
    if len(text) < OFFICIAL:
        notes.append(f"This copy holds the first {len(text):,} of {OFFICIAL:,} characters.")
    train, validation, test = np.split(symbols, [int(share * len(text)) for share in SHARES])
    return Text(alphabet, train, validation, test, tuple(notes))
