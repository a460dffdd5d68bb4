"""Work on a few threads comes back in order, and is not begun before it is wanted."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import pytest
import torch

from paha.runtime.threads import map_in_order, one_ahead, torch_threads


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers):
    slow_first = lambda x: time.sleep(0.02 * (x == 0)) or x * x  # noqa: E731
    assert list(map_in_order(slow_first, range(9), workers=workers)) == [x * x for x in range(9)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_endless_iterable_is_read_no_further_than_needed(workers):
    begun = []
    found = map_in_order(lambda x: begun.append(x) or x, count(), workers=workers)
    assert list(islice(found, 2)) == [0, 1]
    assert len(begun) <= 2 + workers
    found.close()


def test_an_error_comes_where_its_result_would():
    found = map_in_order(lambda x: 1 // (2 - x), range(5), workers=2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_pool_lent_is_used_and_stays_open():
    with ThreadPoolExecutor(1, thread_name_prefix="lent") as pool:
        names = list(map_in_order(lambda _: threading.current_thread().name, range(3), workers=2, pool=pool))
        assert names == ["lent_0"] * 3
        assert pool.submit(int).result() == 0


def test_one_item_is_made_ahead_and_no_more():
    second_begun, made = threading.Event(), []

    def items():
        for number in count():
            made.append(number)
            if number == 1:
                second_begun.set()
            yield number

    found = one_ahead(items())
    assert next(found) == 0
    assert second_begun.wait(5)  # though nobody has asked for it
    assert next(found) == 1
    found.close()
    assert made[-1] <= 2


def test_what_is_made_ahead_comes_whole_and_in_order():
    assert list(one_ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(one_ahead([])) == []


def test_an_error_ahead_comes_after_what_was_made_before_it():
    found = one_ahead(1 // (1 - x) for x in range(3))
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_torchs_threads_are_as_before_also_after_an_error():
    before, meanwhile = torch.get_num_threads(), []

    def fail():
        with torch_threads(before + 1):
            meanwhile.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (meanwhile, torch.get_num_threads()) == ([before + 1], before)
