"""Work on a few threads comes back in order, and is not begun before it is wanted."""

import time
from itertools import count, islice

import pytest

from paha.runtime.threads import map_in_order


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
