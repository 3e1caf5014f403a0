"""The one error base: every refusal says what was expected, found, where, and what to do."""


class RetrueError(Exception):
    """A refusal the user can act on.

    Parameters
    ----------
    expected : str
        What would have been right.
    found : str
        What was there instead.
    where : str
        File, line, column, row or run, as far as known.
    remedy : str
        What to do about it.

    Examples
    --------
    >>> print(RetrueError("a CSV file", "an empty file", "weather.csv", "deliver it again"))
    weather.csv: expected a CSV file, found an empty file; deliver it again
    """

    def __init__(self, expected: str, found: str, where: str, remedy: str) -> None:
        super().__init__(expected, found, where, remedy)
        self.expected = expected
        self.found = found
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        r"""One line: where, what was expected, what was found, what to do.

        What no terminal shows, such as a NUL in a damaged name, is written as `\x00`.
        """
        text = f"{self.where}: expected {self.expected}, found {self.found}; {self.remedy}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class ConfigError(RetrueError):
    """A problem's YAML is wrong; nothing was started."""


class DataError(RetrueError):
    """Source data cannot be taken in; the earlier data version is untouched."""


class TrainingError(RetrueError):
    """No model can be trained from this data."""


class BundleError(RetrueError):
    """A model bundle is damaged or does not match its manifest."""


class DeployError(RetrueError):
    """A version could not be brought into service; what served before still serves."""


class LedgerError(RetrueError):
    """The ledger refuses: someone else holds the work, or a fencing token is stale."""


class StackError(RetrueError):
    """A server of the local stack did not start or does not answer."""


class RequestError(RetrueError):
    """An event is malformed or not authentic; nothing was started."""
