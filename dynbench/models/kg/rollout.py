"""RE-NET's forecast of whole snapshots, from which later steps are forecast in turn.

For a step that is not known, subjects are drawn from the global model, and of all facts of theirs the likeliest by
``p(s) p(r | s) p(o | s, r)`` are taken; likewise from the objects' side. Both sets together are the snapshot.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

# Pairs of an entity and a relation that are decoded at once.
_PAIRS = 256


class Forecaster(Protocol):
    """What says how likely the facts of the next step are. A unit is an entity as a subject or, from N on, an object.

    Attributes:
        num_nodes, num_relations: Sizes of the graph.
    """

    num_nodes: int
    num_relations: int

    def next_actors(self, side: int) -> Tensor:
        """``(N,)`` probabilities of the subjects (0) or the objects (1)."""

    def next_relations(self, unit: Tensor) -> Tensor:
        """``(U, R)`` probabilities of the relation of a unit's fact."""

    def next_answers(self, unit: Tensor, relation: Tensor) -> Tensor:
        """``(Q, N)`` probabilities of the entity that completes it; relations from R on are inverse ones."""


def generated(model: Forecaster, count: int, seed: int) -> Tensor:
    """The likeliest facts of the next step.

    Args:
        model: Says how likely they are.
        count: Entities drawn, with replacement, and facts taken, for each side.
        seed: Of the draws.

    Returns:
        ``(3, F) long`` distinct facts: subjects, relations, objects.
    """
    draws = torch.Generator().manual_seed(seed)
    return torch.cat([_side(model, count, side, draws) for side in (0, 1)], dim=1).unique(dim=1)


def _side(model: Forecaster, count: int, side: int, draws: torch.Generator) -> Tensor:
    """``(3, <= count)`` facts found from the subjects' side (0) or the objects' (1)."""
    share = model.next_actors(side)
    drawn = torch.multinomial(share.cpu(), count, replacement=True, generator=draws).unique().to(share.device)
    unit, relations = drawn + side * model.num_nodes, model.num_relations
    odds, order = (share[drawn, None] * model.next_relations(unit)).flatten().sort(descending=True)
    unit, relation = unit[order // relations], order % relations + side * relations
    best, facts = _best_facts(model, odds, unit, relation, count)
    head, relation, answer = facts[:, best > 0]
    return torch.stack([head, relation, answer] if side == 0 else [answer, relation - relations, head])


def _best_facts(
    model: Forecaster, odds: Tensor, unit: Tensor, relation: Tensor, count: int
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Probabilities and facts ``(head, relation, answer)`` of the likeliest completions of pairs, likeliest pair first.

    A pair cannot hold a fact likelier than itself, so that the search ends, without loss, at the first pair that is
    less likely than as many facts as are wanted.
    """
    best, facts = odds.new_zeros(0), unit.new_zeros(3, 0)
    for start in range(0, len(odds), _PAIRS):
        if len(best) >= count and odds[start] <= best[-1]:
            break
        part = slice(start, start + _PAIRS)
        joint = odds[part, None] * model.next_answers(unit[part], relation[part])
        value, place = joint.flatten().topk(min(count, joint.numel()))
        pair, answer = start + place // model.num_nodes, place % model.num_nodes
        more = torch.stack([unit[pair] % model.num_nodes, relation[pair], answer])
        best, facts = torch.cat([best, value]), torch.cat([facts, more], dim=1)
        best, kept = best.topk(min(count, len(best)))
        facts = facts[:, kept]
    return best, facts
