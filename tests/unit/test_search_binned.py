"""Binned data sets are kept up to so many bytes, the latest longest."""

import lightgbm
import numpy as np

from retrue.search.binned import Binned

Pair = tuple[lightgbm.Dataset, lightgbm.Dataset]


def pair() -> Pair:
    """400 cells, constructed."""
    x = np.random.default_rng(0).normal(size=(150, 2))
    train = lightgbm.Dataset(x, x[:, 0], params={"verbosity": -1})
    valid = train.create_valid(x[:50], x[:50, 0])
    return train.construct(), valid.construct()


def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    kept = Binned(most_bytes=800)
    one, two, three = pair(), pair(), pair()
    kept.keep("one", one, 255)
    kept.keep("two", two, 255)
    assert kept.get("one") is one
    kept.keep("three", three, 255)
    assert (kept.get("one"), kept.get("two"), kept.get("three")) == (one, None, three)


def test_many_bins_take_twice_the_room() -> None:
    kept = Binned(most_bytes=800)
    one, two = pair(), pair()
    kept.keep("one", one, 1023)
    kept.keep("two", two, 255)
    assert (kept.get("one"), kept.get("two")) == (None, two)


def test_what_is_larger_than_all_the_room_is_kept_alone() -> None:
    kept = Binned(most_bytes=1)
    only = pair()
    kept.keep("only", only, 255)
    assert kept.get("only") is only
