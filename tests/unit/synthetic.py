"""A made-up table of the small problem with something to learn in it."""

import numpy as np
import pandas as pd


def learnable(n: int = 2_000) -> pd.DataFrame:
    """Rows in time order; the label depends on `amount` and on noise."""
    rng = np.random.default_rng(7)
    amount = rng.normal(size=n)
    return pd.DataFrame(
        {
            "visit": np.arange(n),
            "at": pd.date_range("2024-01-01", "2024-01-19", periods=n, tz="UTC"),
            "amount": amount,
            "shop_size": rng.normal(size=n),
            "wind": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "shop": pd.Categorical(rng.choice(["A", "B"], n)),
            "shop_kind": [
                ("large" if one > 0 else "small") if told else None
                for one, told in zip(amount, rng.random(n) < 0.5, strict=True)
            ],
            "delay": 5 + amount + rng.normal(size=n),
        }
    )
