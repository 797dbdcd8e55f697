"""Messages between a search and a worker process: pickles with their length before them, over a pair of pipes."""

import pickle
import struct
from typing import IO, Any

LENGTH = struct.Struct("!Q")


def send(stream: IO[bytes], message: Any) -> None:
    """Writes a message whole. Raises `OSError` where nobody reads any more."""
    body = pickle.dumps(message)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message. Raises `EOFError` where the other side is gone."""
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: IO[bytes], length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return body


def packed(subject: Any) -> bytes:
    """A subject as bytes; functions of scripts and notebooks too, which other processes cannot import.

    Raises `DataError` for one that holds what cannot be sent, such as open files.
    """
    import cloudpickle

    from tunesmith.records import DataError

    try:
        return bytes(cloudpickle.dumps(subject))
    except Exception as error:  # whatever __reduce__ of somebody's object raises
        raise DataError(
            f"the objective cannot be sent to another process ({type(error).__name__}: {error}); open files and connections "
            "inside the function, or search with executor='local'"
        ) from error
