"""Single-step snapshot forecasting: train up to snapshot t, ask about snapshot t + 1, for every t.

Three named variants stand behind the tables of the NLSM paper, and their numbers must not be mixed:

* ``single_step_dysat``: DySAT's benchmark pairs, scored by a logistic regression on products of embeddings that is
  trained on a fifth of the target's own links;
* ``single_step_nlsm``: the same pairs, scored by the model itself;
* ``single_step_allpairs``: all pairs of the node set, scored by the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.steps import LinkMetrics
from dynbench.protocols.base import Protocol
from dynbench.protocols.pairs import PairSplitter
from dynbench.ranges import Positive, Seed


class SingleStep(Protocol):
    """Benchmark pairs of the next snapshot, scored by the model itself.

    Args:
        pairs: ``test`` asks about the 60 % test part of the links; ``all_positives`` about all of them.
        self_loops: Whether self-loops among the target's links are asked about.
        links: ``all`` links of the target or only ``new`` ones.
        negatives: Non-links ``uniform`` over all pairs or ``bipartite``.
        split_seed: Seed of splits and non-links; the run's seed when ``None``.
    """

    version = 1
    asks = "score"
    view = "snapshots"
    unvalidated = "every snapshot but the first is one of the test"
    learning = "single_step"
    exam_settings = frozenset({"pairs", "self_loops", "links", "negatives", "split_seed"})
    seeds = frozenset({"split_seed"})

    def __init__(
        self,
        *,
        pairs: Literal["test", "all_positives"] = "test",
        self_loops: Literal["keep", "drop"] = "keep",
        links: Literal["all", "new"] = "all",
        negatives: Literal["uniform", "bipartite"] = "uniform",
        split_seed: Seed | None = None,
    ):
        self.pairs, self.self_loops, self.links, self.negatives = pairs, self_loops, links, negatives
        self.split_seed = split_seed

    def num_episodes(self, graph: TemporalGraph) -> int:
        """One per snapshot but the first."""
        return graph.require_steps() - 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """Targets 1, 2, … with the history before each."""
        targets = self.num_episodes(graph)
        if targets < 1:
            raise DataError(f"single-step forecasting needs at least 2 snapshots, the data have {graph.num_steps}")
        splitter = self.splitter(graph, seed)
        for target in range(1, targets + 1):
            history = graph.before(target)
            exams, validation = self.exams(splitter, target)
            yield Episode(f"snapshot {target} of {targets}", {"": history}, history, exams, validation)

    def splitter(self, graph: TemporalGraph, seed: int) -> PairSplitter:
        """The source of this run's pairs."""
        split_seed = seed if self.split_seed is None else self.split_seed
        return PairSplitter(graph, split_seed, self.self_loops, self.links, self.negatives)

    def exams(self, splitter: PairSplitter, target: int) -> tuple[list[Exam], Exam | None]:
        """The exam of one target. A model's own scores need no links of the future to be selected by."""
        parts = splitter.split(target, trained=target - 1)
        names = ["test"] if self.pairs == "test" else ["train", "validation", "test"]
        src, dst, labels = (torch.cat([getattr(parts[n], field) for n in names]) for field in ("src", "dst", "labels"))
        blocks = [Block(target, Queries.pairs(src, dst, target), labels)] if len(labels) else []
        return [Exam("", lambda: blocks, LinkMetrics)], None


class SingleStepClassifier(SingleStep):
    """Benchmark pairs of the next snapshot, scored by a classifier on the model's embeddings, as DySAT does.

    The classifier (logistic regression on the elementwise product of the two embeddings) learns from a fifth of the
    *target's* links, and another fifth is offered for model selection. Both are a mild look into the future that the
    published numbers contain.

    Args:
        self_loops: As in :class:`SingleStep`.
        links: As in :class:`SingleStep`.
        negatives: As in :class:`SingleStep`.
        split_seed: As in :class:`SingleStep`.
        penalty: Inverse strength C of the classifier's L2 penalty.
        scaled: Whether each product is divided by its standard deviation over the classifier's training pairs. DySAT's
            code takes products as they are, so the penalty weighs the more the shorter a model's vectors are.
    """

    version = 2
    asks = "embed"
    validates = True
    unvalidated = ""
    validation_settings = frozenset({"self_loops", "links", "negatives", "split_seed", "penalty", "scaled"})
    exam_settings = frozenset({"self_loops", "links", "negatives", "split_seed", "penalty", "scaled"})

    def __init__(
        self,
        *,
        self_loops: Literal["keep", "drop"] = "keep",
        links: Literal["all", "new"] = "all",
        negatives: Literal["uniform", "bipartite"] = "uniform",
        split_seed: Seed | None = None,
        penalty: Positive = 1.0,
        scaled: bool = False,
    ):
        super().__init__(self_loops=self_loops, links=links, negatives=negatives, split_seed=split_seed)
        self.penalty, self.scaled = penalty, scaled

    def exams(self, splitter: PairSplitter, target: int) -> tuple[list[Exam], Exam | None]:
        """Test and validation exams, with the classifier's training pairs as support."""
        parts = {name: (p.queries(target), p.labels) for name, p in splitter.split(target, target - 1).items()}

        def exam(name: str, part: str, **more) -> Exam:
            blocks = [Block(target, *parts[part], support=parts["train"])] if len(parts[part][1]) else []
            return Exam(name, lambda: blocks, partial(LinkMetrics, precise=True), self.readout, **more)

        # Validation is measured for every model, so that settings can be chosen by it and by nothing else.
        return [exam("", "test")], exam("validation", "validation", select=("macro_auc",))

    def readout(self, block: Block, answer: Tensor) -> Tensor:
        """Log-odds of the classifier for each pair, from ``(1, N, D)`` embeddings."""
        return hadamard_scores(answer[0], block.support, block.queries, self.penalty, self.scaled)


def hadamard_scores(
    embedding: Tensor, support: tuple[Queries, Tensor], queries: Queries, penalty: float, scaled: bool = False
) -> Tensor:
    """Fit a logistic regression on products of embeddings, and score pairs with it.

    Args:
        embedding: ``(N, D)``.
        support: Labelled pairs to fit on.
        queries: Pairs to score.
        penalty: Inverse strength of the L2 penalty, scikit-learn's C.
        scaled: Whether products have unit deviation over the pairs that are fitted.

    Returns:
        ``(Q,) double`` log-odds.
    """
    known, labels = support
    features, wanted = ((embedding[q.src] * embedding[q.dst]).double().cpu().numpy() for q in (known, queries))
    if scaled:
        scaler = StandardScaler(with_mean=False).fit(features)  # a product that never varies stays as it is
        features, wanted = scaler.transform(features), scaler.transform(wanted)
    # The usual tolerance takes gradients of short vectors' products for none at all, and leaves all weights at zero.
    classifier = LogisticRegression(C=penalty, tol=1e-8, max_iter=2000).fit(features, labels.numpy())
    return torch.from_numpy(classifier.decision_function(wanted))


class AllPairs(Protocol):
    """All pairs of the next snapshot, scored by the model itself (NLSM's Table 4).

    Args:
        known_nodes_only: Whether pairs with a node that no trained snapshot holds are left out.
    """

    version = 1
    asks = "score"
    view = "snapshots"
    unvalidated = "every snapshot but the first is one of the test"
    learning = "single_step"
    exam_settings = frozenset({"known_nodes_only"})
    seeds = frozenset()

    def __init__(self, *, known_nodes_only: bool = False):
        self.known_nodes_only = known_nodes_only

    def bytes_needed(self, graph: TemporalGraph) -> tuple[int, str]:
        """Ends, time, label and score of every pair, some twice, and a table of links."""
        pairs = graph.num_nodes**2 // (1 if graph.directed else 2)
        return 60 * pairs + graph.num_nodes**2, f"all {pairs:,} pairs of {graph.num_nodes:,} nodes; ask sampled pairs"

    def num_episodes(self, graph: TemporalGraph) -> int:
        """One per snapshot but the first."""
        return graph.require_steps() - 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """Targets 1, 2, … with the history before each."""
        targets = self.num_episodes(graph)
        if targets < 1:
            raise DataError(f"single-step forecasting needs at least 2 snapshots, the data have {graph.num_steps}")
        first_seen = graph.first_seen()
        for target in range(1, targets + 1):
            nodes = torch.arange(graph.num_nodes)
            if self.known_nodes_only:
                nodes = nodes[first_seen < target]
            history = graph.before(target)
            exam = Exam("", partial(_asked, graph, nodes, target), partial(LinkMetrics, pooled=False))
            yield Episode(f"snapshot {target} of {targets}", {"": history}, history, [exam])


def _asked(graph: TemporalGraph, nodes: Tensor, target: int) -> list[Block]:
    """One block, made when it is asked: all pairs of a large graph should not wait in memory for the fit."""
    return [_all_pairs(graph, nodes, target)]


def _all_pairs(graph: TemporalGraph, nodes: Tensor, target: int) -> Block:
    """Every pair of distinct nodes, ordered in a directed graph and unordered in an undirected one."""
    if graph.directed:
        src, dst = torch.cartesian_prod(nodes, nodes).unbind(1)
        src, dst = src[src != dst], dst[src != dst]
    else:
        src, dst = torch.combinations(nodes, 2).unbind(1)
    linked = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.int8)
    snapshot = graph.step(target)
    linked[snapshot.src, snapshot.dst] = 1
    if not graph.directed:
        linked[snapshot.dst, snapshot.src] = 1
    return Block(target, Queries.pairs(src, dst, target), linked[src, dst])
