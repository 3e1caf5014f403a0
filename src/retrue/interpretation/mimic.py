"""A small tree that imitates the model, and how well it does. A home of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.interpretation.explained_model import ExplainedModel, Floats
from retrue.interpretation.seen_values import shown
from retrue.serving.dates import DATE_PARTS

if TYPE_CHECKING:
    from retrue.serving.features import Feature

MAX_LEAVES = 12
"""As many rules as fit on a screen."""
LEAF_SHARE = 0.01
TEST_SHARE = 0.25
NAMES_SHOWN = 8


@dataclass(frozen=True)
class Node:
    """One node of the tree: a question and two answers, or a leaf."""

    n_rows: int
    scores: tuple[float, ...]
    """Mean score of its rows, one a class or one in all."""
    decision: int
    """What the model would decide at this score; -1 for a regression."""
    about: str = ""
    """What the question is about; empty in a leaf."""
    question: str = ""
    """What is true of the rows that go to `yes`."""
    counter: str = ""
    """What is true of those that go to `no`."""
    yes: Node | None = None
    no: Node | None = None

    def rules(self, before: dict[str, str] | None = None) -> list[tuple[tuple[str, ...], Node]]:
        """The leaves, each with what leads to it; a later answer takes the place of a wider one."""
        known = before or {}
        if self.yes is None or self.no is None:
            return [(tuple(known.values()), self)]
        # A set of categories narrows the one before; a bound only that on the same side.
        sides = ("", "") if " in " in self.question else (" low", " high")
        yes = self.yes.rules({**known, self.about + sides[0]: self.question})
        return [*yes, *self.no.rules({**known, self.about + sides[1]: self.counter})]


@dataclass(frozen=True)
class Mimic:
    """A surrogate tree with its fidelity on rows that it was not fitted on."""

    root: Node
    r2: float
    """Share of the variance of the model's scores that the tree explains; 1 where they are constant
    and it says the same."""
    agreement: float | None
    """Share of the rows where tree and model decide alike; None for a regression."""
    majority: float | None
    """Share of the rows with the model's most frequent decision: agreement without any tree."""
    n_fitted: int
    n_tested: int
    n_left_out: int
    """Text features, whose columns mean nothing to a reader, are not asked about."""


def mimic(model: ExplainedModel, matrix: Floats, seed: int) -> Mimic:
    """Fit a regression tree (CART, Breiman et al. 1984) to the model's scores, as served.

    A global surrogate (Craven and Shavlik 1996) of at most 12 leaves. Categories are put in order
    of their mean score, so that a question is a set of them (Fisher 1958).

    Parameters
    ----------
    matrix : ndarray, shape (n_rows, n_columns)
        Encoded rows, at least 8; a seeded quarter of them tests.
    seed : int
        Of the quarter and of scikit-learn's choice among equal splits.
    """
    from sklearn.tree import DecisionTreeRegressor

    scores = model.scores(matrix)
    order = np.random.default_rng(seed).permutation(len(matrix))
    n_test = max(1, int(len(matrix) * TEST_SHARE))
    test, train = order[:n_test], order[n_test:]
    inputs, asked = _inputs(model, matrix, scores, train)
    tree = DecisionTreeRegressor(
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=max(1, int(len(train) * LEAF_SHARE)),
        random_state=seed,
    ).fit(inputs[train], scores[train])
    said = np.asarray(tree.predict(inputs[test])).reshape(n_test, -1)
    residual = float(((scores[test] - said) ** 2).sum())
    total = float(((scores[test] - scores[test].mean(axis=0)) ** 2).sum())
    decided = model.decisions(scores[test])
    alike = model.decisions(said) == decided
    decides = model.task != "regression"
    return Mimic(
        root=_node(model, tree.tree_, asked, 0, {}),
        r2=1 - residual / total if total else float(residual == 0),
        agreement=float(alike.mean()) if decides else None,
        majority=float(np.bincount(decided).max() / n_test) if decides else None,
        n_fitted=len(train),
        n_tested=n_test,
        n_left_out=sum(feature["kind"] == "text" for feature in model.features),
    )


@dataclass(frozen=True)
class _Column:
    """One input of the tree, and what its numbers mean."""

    feature: Feature
    ending: str
    names: tuple[str, ...] = ()
    """Of a category: texts by rising mean score, their positions are the numbers."""

    def ask(
        self, threshold: float, missing_goes_left: bool, has_missing: bool, span: tuple[int, int]
    ) -> tuple[str, str]:
        """Question and its counter for `value <= threshold`; categories are left within a span."""
        name = self.feature["name"]
        gap = (" or missing", "") if missing_goes_left else ("", " or missing")
        gap = gap if has_missing else ("", "")
        if self.names:
            n = int(np.floor(threshold)) + 1
            low, high = self.names[span[0] : n], self.names[n : span[1]]
            return f"{name} in {_listed(low)}{gap[0]}", f"{name} in {_listed(high)}{gap[1]}"
        if self.ending == "__missing":
            return f"{name} is there", f"{name} is missing"
        part = f" ({self.ending.removeprefix('__')})" if self.ending else ""
        at = shown(float(f"{threshold:.4g}"))
        return f"{name}{part} ≤ {at}{gap[0]}", f"{name}{part} > {at}{gap[1]}"


def _inputs(
    model: ExplainedModel, matrix: Floats, scores: Floats, train: Any
) -> tuple[Floats, list[tuple[_Column, bool]]]:
    """Columns that the tree may ask about; categories by their mean score in the training rows."""
    blocks, asked = [], []
    # Of several classes the first principal direction would do as well; the likeliest is told.
    height = scores[:, scores[train].mean(axis=0).argmax()]
    for feature, part in zip(model.features, model.slices, strict=True):
        if feature["kind"] == "text":
            continue
        block = matrix[:, part]
        endings = ["", "__missing"][: block.shape[1]]
        if feature["kind"] == "date":
            endings = [f"__{name}" for name in DATE_PARTS]
        names: tuple[str, ...] = ()
        if feature["kind"] == "categorical":
            block, names = _by_score(feature, block[:, 0], height, train)
        for i, ending in enumerate(endings):
            column = _Column(feature, ending, names)
            asked.append((column, bool(np.isnan(block[:, i]).any())))
        blocks.append(block)
    if not blocks:
        return np.zeros((len(matrix), 1)), [(_Column(model.features[0], ""), False)]
    # scikit-learn's trees work in float32, where what is infinite here has no place.
    largest = float(np.finfo(np.float32).max)
    return np.clip(np.concatenate(blocks, axis=1), -largest, largest), asked


def _by_score(
    feature: Feature, codes: Floats, height: Floats, train: Any
) -> tuple[Floats, tuple[str, ...]]:
    texts = [*feature.get("categories", []), *(["other"] if feature.get("other") else [])]
    known = train[~np.isnan(codes[train])]
    at = codes[known].astype(np.intp)
    counts = np.bincount(at, minlength=len(texts))
    sums = np.bincount(at, weights=height[known], minlength=len(texts))
    overall = height[train].mean()
    means = np.divide(sums, counts, out=np.zeros(len(texts)), where=counts > 0)
    order = np.argsort(np.where(counts > 0, means, np.inf), kind="stable")
    n_met = int((counts > 0).sum())
    # One that no training row has stands where its mean would be: in the middle.
    rank = np.full(len(texts) + 1, np.searchsorted(means[order[:n_met]], overall) - 0.5)
    rank[order[:n_met]], rank[-1] = np.arange(n_met), np.nan
    places = np.where(np.isnan(codes), len(texts), codes).astype(np.intp)
    return rank[places][:, None], tuple(texts[i] for i in order[:n_met])


def _node(
    model: ExplainedModel,
    tree: Any,
    asked: list[tuple[_Column, bool]],
    at: int,
    spans: dict[int, tuple[int, int]],
) -> Node:
    scores = tree.value[at].reshape(1, -1)
    left, right, which = (
        int(of[at]) for of in (tree.children_left, tree.children_right, tree.feature)
    )
    leaf = Node(
        n_rows=int(tree.n_node_samples[at]),
        scores=tuple(scores[0].tolist()),
        decision=int(model.decisions(scores)[0]),
    )
    if left < 0:
        return leaf
    column, has_missing = asked[which]
    span = spans.get(which, (0, len(column.names)))
    threshold = float(tree.threshold[at])
    cut = int(np.floor(threshold)) + 1
    goes_left = bool(tree.missing_go_to_left[at])
    question, counter = column.ask(threshold, goes_left, has_missing, span)
    return replace(
        leaf,
        about=column.feature["name"] + column.ending,
        question=question,
        counter=counter,
        yes=_node(model, tree, asked, left, {**spans, which: (span[0], cut)}),
        no=_node(model, tree, asked, right, {**spans, which: (cut, span[1])}),
    )


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{{{', '.join(names[:NAMES_SHOWN])}{more}}}"
