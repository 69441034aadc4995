"""Recurrency with the same values for all relations: the past decayed, or when a fact held last; frequent answers.

Paper:
    Gastinger, Meilicke, Errica, Sztyler, Schuelke, Stuckenschmidt: History repeats itself: a baseline for temporal
    knowledge graph forecasting. IJCAI 2024. The scorers phi and phi + 0.001 xi are simpler relatives.

Idea:
    No parameters are learnt. A candidate scores by when (or how often, how recently) the very fact asked about held
    before, with the share of its answers to the same relation to break ties. On yearly data, where facts last for many
    years, such counts beat most trained systems; no table of these should be read without them.

Equations:
    With facts of the history at steps k = k_1 .. k_n, all written in both directions (relation r + R for the inverse)::

        psi(s, r, o) = sum over k with (s, r, o, k) of w(k) / sum over steps k_1 <= i < k_n of w(i)
        w(k)         = 2^(decay (k - k_n - 1))
        phi(s, r, o) = 1 + the last step k with (s, r, o, k), or 0
        xi(r, o)     = count(r, o) / count(r)
        score        = past_weight * past + frequency_weight * xi       past: psi (decayed), phi (last) or 0 (none)

    The paper's names: psi is "strict", xi "relaxed", both together "combined".

Deviations:
    * One decay and one pair of weights for all relations, those that the paper found best for YAGO and WIKI; tuned
      ones are in :mod:`dynbench.models.counting.recurrency`.
    * psi is computed for the step after the last one of the history, whatever step is asked about: the paper's powers
      of the later step cancel.
    * The denominator leaves out the latest step, as in the authors' code. It matters only beside xi.
    * With a decay of one halving per step, double precision holds 53 years. Facts that agree in the last 53 are told
      apart by rounding alone, and so by the order in which SciPy adds up a row. Exact arithmetic instead gives psi on
      YAGO (multi_step) raw MRR 58.88 for 59.07 and Hits@1 45.51 for 45.89, time-filtered MRR 81.35 for 81.37; adding
      up in order of time 58.30, 43.75 and 81.34. The order used here is that of the reference values.

Reproduction:
    YAGO, time filter, percent: combined MRR 81.72 and Hits@10 84.56 in the setting multi_step (published, tuned per
    relation: 81.7 and 84.6), 90.85 and 93.00 in single_step (published 90.9 and 93.0). All eleven combinations of
    scorer and history are tests of the evaluator.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import with_inverses
from dynbench.models.history import HistoryModel
from dynbench.ranges import NonNegative


class FixedRecurrency(HistoryModel):
    """Scores candidates by past occurrences of the fact and by the frequency of the answer.

    Args:
        past: What counts about past occurrences: ``decayed`` (psi), ``last`` (phi), or ``none``.
        past_weight: Weight of that.
        frequency_weight: Weight of the share of a candidate among the answers to the relation.
        decay: Halvings per step, for ``decayed``; from 1 on, the latest occurrence outweighs all earlier ones.
    """

    version = 2
    answers = frozenset({"rank"})
    needs = frozenset({"snapshots"})

    def __init__(
        self,
        *,
        past: Literal["decayed", "last", "none"] = "decayed",
        past_weight: NonNegative = 0.99999,
        frequency_weight: NonNegative = 0.00001,
        decay: NonNegative = 1.0001,
    ):
        self.past, self.past_weight, self.frequency_weight, self.decay = past, past_weight, frequency_weight, decay

    def count(self, history: TemporalGraph) -> None:
        """Past scores, sparse, with a row per head and relation, and the frequencies ``(2R, N)``."""
        nodes, relations = history.num_nodes, 2 * history.num_relations
        head, relation, answer, time = (part.numpy() for part in with_inverses(history))
        weight = np.ones(len(history)) if history.weight is None else history.weight.double().numpy()
        counts = np.bincount(relation * nodes + answer, np.tile(weight, 2), relations * nodes).reshape(relations, nodes)
        self.frequency = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        row, shape = head * relations + relation, (nodes * relations, nodes)
        if self.past == "last":
            # Later facts overwrite earlier ones: the history is in order of time.
            keys, fact = np.unique(row * nodes + answer, return_inverse=True)
            value = np.empty(len(keys))
            value[fact] = time + 1.0
            self.held = sparse.csr_array((value, (keys // nodes, keys % nodes)), shape=shape)
        elif self.past == "decayed":
            value = np.tile(weight, 2) * self._decayed(time)
            self.held = sparse.csr_array((value, (row, answer)), shape=shape)
            whole = self._decayed(np.arange(time.min(), time.max()), time.max()).sum()
            self.held.data *= 1 / whole if whole else 1.0
        else:
            self.held = sparse.csr_array(shape)
        self.held.data *= self.past_weight

    def _decayed(self, time: np.ndarray, last: int | None = None) -> np.ndarray:
        """Powers of one half, relative to the step after the last one.

        Double precision holds them down to 2^-1022; single precision would lose all facts of a century ago.
        """
        return 2.0 ** (self.decay * (time - (time.max() if last is None else last) - 1))

    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N) double`` weighted sums; all times are alike, since only the history counts."""
        head, relation = queries.src.cpu().numpy(), queries.relation.cpu().numpy()
        relations, nodes = self.frequency.shape
        if self.frequency_weight:
            scores = self.frequency_weight * self.frequency[relation]
        else:
            scores = np.zeros((len(queries), nodes))
        row = head * relations + relation
        start = self.held.indptr[row]
        size = self.held.indptr[row + 1] - start
        asked = np.repeat(np.arange(len(row)), size)
        entry = np.arange(len(asked)) + np.repeat(start - np.cumsum(size) + size, size)
        scores[asked, self.held.indices[entry]] += self.held.data[entry]
        return torch.from_numpy(scores)
