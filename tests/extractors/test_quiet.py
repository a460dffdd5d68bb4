"""stderr comes back after MediaPipe, whichever thread is done first."""

import os
import threading

from paha.extractors.quiet import quiet


def stderr_file() -> tuple[int, int]:
    """Which file descriptor 2 is."""
    found = os.fstat(2)
    return found.st_dev, found.st_ino


def test_stderr_is_put_away_and_comes_back(capfd):
    with quiet():
        os.write(2, b"a page of notes")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_stderr_comes_back_when_overlapping_blocks_end_in_their_order():
    """The first in is the first out, as threads are: the second one kept what the first one had put away."""
    before, nowhere = stderr_file(), (os.stat(os.devnull).st_dev, os.stat(os.devnull).st_ino)
    first, second = quiet(), quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert stderr_file() == nowhere  # somebody is still inside
    second.__exit__(None, None, None)
    assert stderr_file() == before


def test_stderr_comes_back_after_many_threads_and_errors():
    before, start = stderr_file(), threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(50):
            try:
                with quiet():
                    raise RuntimeError
            except RuntimeError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stderr_file() == before
