"""How a model's margin becomes its score, as its text says."""

LOG_LINKS = ("poisson", "tweedie", "gamma")
"""LightGBM's objectives of a regression whose score is the exponential of the margin."""
_TOLD = b"\nobjective="


def has_log_link(model: bytes) -> bool:
    r"""Whether the score of a model, LightGBM's text, is the exponential of its margin.

    Examples
    --------
    >>> has_log_link(b"tree\nobjective=tweedie tweedie_variance_power:1.5\n")
    True
    >>> has_log_link(b"tree\nobjective=regression\n")
    False
    """
    at = model.find(_TOLD)
    return at >= 0 and model.startswith(tuple(map(str.encode, LOG_LINKS)), at + len(_TOLD))
