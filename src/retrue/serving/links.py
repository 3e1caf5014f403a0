"""How a model's margin becomes its score, as its text says."""

LOG_LINKS = ("poisson", "tweedie", "gamma")
"""LightGBM's objectives of a regression whose score is the exponential of the margin."""


def has_log_link(model: bytes) -> bool:
    r"""Whether the score of a model, LightGBM's text, is the exponential of its margin.

    Examples
    --------
    >>> has_log_link(b"tree\nobjective=tweedie tweedie_variance_power:1.5\n")
    True
    >>> has_log_link(b"tree\nobjective=regression\n")
    False
    """
    _, _, told = model.partition(b"\nobjective=")
    return told.startswith(tuple(name.encode() for name in LOG_LINKS))
