"""Where data files come from: a local folder named by $TINYDNI_DATA, or else a download into a cache.

A folder that is set is the only place looked at: what is missing there is an error, never a reason to download.
"""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "TINYDNI_DATA"


class DataError(OSError):
    """A data set cannot be had: missing, broken or of the wrong kind. The message names the file and what to do."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    path: its name in the local folder and in the cache, such as "mnist/labels.gz"
    addresses: where it can be had, tried in this order
    checksum: of the file, such as "md5:d53e..." or "sha256:86c4..."
    """

    path: str
    addresses: tuple
    checksum: str


def find(file, *also):
    """Path of a RemoteFile: the local one if $TINYDNI_DATA is set, else the cached one, downloaded if need be.

    also: other paths under which a local copy may lie, for instance unpacked.
    Raises DataError if it cannot be had.
    """
    folder = data_folder()
    return download(file) if folder is None else local_file(folder, file.path, *also)


def data_folder():
    """The folder that $TINYDNI_DATA names, None if it is not set. Raises DataError if there is no such folder."""
    name = os.environ.get(VARIABLE)
    if name is None:
        return None
    folder = Path(name).expanduser()
    if not name or not folder.is_dir():
        raise DataError(f"{VARIABLE} is set to {name!r}, but there is no such folder. Set it to the folder that "
                        "holds your data, or unset it to download the data.")
    return folder


def local_file(folder, *paths):
    """The first of these paths that is a file in the folder. Raises DataError if none is."""
    candidates = [folder / path for path in paths]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked_for = ", nor ".join(map(str, candidates))
    raise DataError(f"{VARIABLE} is set to {str(folder)!r}, but there is no file {looked_for}. Put it there, or set "
                    f"{VARIABLE} to the folder that holds {Path(paths[0]).parent}/, or unset it to download the file.")


def cache_folder():
    """Where downloads are kept: the operating system's place for caches."""
    import pooch
    return Path(pooch.os_cache("tinydni"))


def download(file):
    """Path of a RemoteFile in the cache; downloaded from the first address that serves it, unless it is there.

    The transfer goes to a temporary file, which gets its name only once its checksum is right: what carries the
    name is whole. Raises DataError if no address serves it, or if the cache cannot be written.
    """
    try:
        import pooch
        import tqdm     # noqa: F401    pooch draws its progress bar with it
        from requests.exceptions import RequestException
    except ModuleNotFoundError as error:
        raise DataError(f"Downloading {file.path} needs the packages pooch and tqdm: pip install pooch tqdm. "
                        f"Without them, set {VARIABLE} to a folder that holds {file.path}.") from error
    target = cache_folder() / file.path
    transfer = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16, timeout=(10, 30))
    failures = []
    for address in file.addresses:
        try:
            pooch.retrieve(address, file.checksum, target.name, target.parent, downloader=transfer)
            return target
        except (RequestException, ValueError) as error:         # pooch raises ValueError for a wrong checksum
            failures.append(f"{address} ({reason(error)})")
        except OSError as error:
            raise DataError(f"{target} could not be written: {error}. Make room or give the right to write there, "
                            f"or set {VARIABLE} to a folder that holds {file.path}.") from error
    target.unlink(missing_ok=True)      # had it been whole, it would have been returned
    raise DataError(f"Could not download {file.path} from {' or '.join(failures)}: check the network, or set "
                    f"{VARIABLE} to a folder that holds {file.path}, or use `tinydni train digits`, "
                    "which needs no download.")


def reason(error):
    """Why a transfer failed, in a few words."""
    from requests import exceptions
    if isinstance(error, exceptions.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, exceptions.ConnectionError):
        return "the connection failed"
    if isinstance(error, exceptions.RequestException):
        return "the transfer broke off"
    return "wrong checksum"
