"""Where data files come from: a local folder named by $TINYDNI_DATA, or a download into a cache.

A folder that is set is the only place looked at: what is missing there is an error, never a
reason to download.
"""

import gzip
import itertools
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "TINYDNI_DATA"


class DataError(OSError):
    """A data set cannot be had: missing, broken or of the wrong kind; says what to do."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded, or that lies in a local folder, packed with gzip or not.

    path : its name in the local folder and in the cache, such as "mnist/labels.gz"
    addresses : where it can be had, tried in this order
    checksum : of the file, such as "md5:d53e..." or "sha256:86c4..."
    lookalikes : (pattern, what it is) of files that people have in its place; "" for the same
    """

    path: str
    addresses: tuple[str, ...]
    checksum: str
    lookalikes: tuple[tuple[str, str], ...] = ()

    def places(self, folder: Path) -> list[Path]:
        """Where it may lie in a local folder: under its name, and packed or unpacked."""
        unpacked = self.path.removesuffix(".gz")
        other = f"{self.path}.gz" if unpacked == self.path else unpacked
        return [folder / self.path, folder / other]


def find(file: RemoteFile) -> Path:
    """Path of the local file if $TINYDNI_DATA is set, else of the cached or downloaded one."""
    folder = data_folder()
    if folder is None:
        return download(file)
    places = file.places(folder)
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{VARIABLE} is set to {str(folder)!r}, but there is no file "
                    f"{', nor '.join(map(str, places))}. {nearby(folder, file)}")


def data_folder() -> Path | None:
    """The folder that $TINYDNI_DATA names, None if it is not set."""
    name = os.environ.get(VARIABLE)
    if name is None:
        return None
    try:
        folder = Path(name).expanduser()
    except RuntimeError:            # "~name" of a user who does not exist
        folder = Path(name)
    if not name or not folder.is_dir():
        raise DataError(f"{VARIABLE} is set to {name!r}, but there is no such folder. Set it to "
                        "the folder that holds your data, or unset it to download the data.")
    return folder


def nearby(folder: Path, file: RemoteFile) -> str:
    """What to do: with a file in the wrong place or of another form, if there is one."""
    places, whole = file.places(folder), folder.absolute()
    for pattern, what in (*((place.name, "") for place in places), *file.lookalikes):
        levels = (sorted(folder.glob(level + pattern)) for level in ("", "*/", "*/*/"))
        found = next(filter(Path.is_file, itertools.chain.from_iterable(levels)), None)
        if found and what:
            return f"{found} {what}."
        if found and found.parent == folder and whole.name == places[0].parent.name:
            return f"{found} looks like it: set {VARIABLE} to {whole.parent}."
        if found:
            packed = found.suffix == ".gz"
            target = next(place for place in places if (place.suffix == ".gz") == packed)
            return f"{found} looks like it: move it to {target}, and its neighbours likewise."
    return (f"Put it there, or set {VARIABLE} to the folder that holds {places[0].parent.name}/, "
            "or unset it to download the file.")


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends in .gz."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            return stream.read()
    except EOFError as error:
        raise broken(path, "is cut off: its gzip stream has no end") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise broken(path, f"is not a whole gzip file ({error}; an unpacked file must not be "
                           "named .gz)") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}). "
                        "Check that you may read it.") from error


def broken(path: Path | str, what: str) -> DataError:
    """The error for a file that is there and is not what it should be."""
    return DataError(f"{path} {what}. Put the official file in its place, or unset "
                     f"{VARIABLE} to download it.")


def cache_folder() -> Path:
    """Where downloads are kept: the operating system's place for caches."""
    import pooch
    return Path(pooch.os_cache("tinydni"))


def download(file: RemoteFile) -> Path:
    """Path of a file in the cache, downloaded from the first address that serves it.

    The transfer goes to a temporary file, which gets its name only once its checksum is right:
    what carries the name is whole. Raises DataError if no address serves the file, or the cache
    cannot be written.
    """
    elsewhere = f"set {VARIABLE} to a folder that holds {file.path}"
    try:
        import pooch
        import tqdm  # noqa: F401    pooch draws its progress bar with it
        from requests.exceptions import RequestException
    except ModuleNotFoundError as error:
        raise DataError(f"Downloading {file.path} needs two packages: pip install pooch tqdm. "
                        f"Without them, {elsewhere}.") from error
    target = cache_folder() / file.path
    transfer = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16, timeout=(10, 30))
    failures = []
    for address in file.addresses:
        try:
            pooch.retrieve(address, file.checksum, target.name, target.parent, downloader=transfer)
            return target
        except (RequestException, ValueError) as error:     # ValueError: pooch's for a checksum
            failures.append(f"{address} ({reason(error)})")
        except OSError as error:
            raise DataError(f"{target} could not be written: {error}. Make room or give the right "
                            f"to write there, or {elsewhere}.") from error
    target.unlink(missing_ok=True)      # had it been whole, it would have been returned
    raise DataError(f"Could not download {file.path} from {' or '.join(failures)}: check the "
                    f"network, or {elsewhere}, or use `tinydni train digits`, "
                    "which needs no download.")


def reason(error: Exception) -> str:
    """Why a transfer failed, in a few words, with what the operating system said."""
    from requests import exceptions
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}".strip()
    kinds = {exceptions.Timeout: "no answer in time", exceptions.SSLError: "no secure connection",
             exceptions.ProxyError: "the proxy failed",
             exceptions.ConnectionError: "the connection failed",
             exceptions.RequestException: "the transfer broke off", ValueError: "wrong checksum"}
    words = next(words for kind, words in kinds.items() if isinstance(error, kind))
    cause, said = error.__cause__ or error.__context__, None
    while cause is not None:
        cause, said = cause.__cause__ or cause.__context__, getattr(cause, "strerror", None) or said
    return f"{words}: {said}" if said else words
