"""RE-NET's forecast of whole snapshots, from which later steps are forecast in turn.

For a step that is not known, subjects are drawn from the global model, and of all facts of theirs the likeliest by
``p(s) p(r | s) p(o | s, r)`` are taken; likewise from the objects' side. Both sets together are the snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dynbench.models.kg.renet import RENET, State

# Pairs of an entity and a relation that are decoded at once.
_PAIRS = 256


def generated(model: RENET, state: State, step: int, count: int, seed: int) -> Tensor:
    """The likeliest facts at the step after the last one of a state.

    Args:
        model: Fitted.
        state: What is known or was generated before.
        step: The step.
        count: Entities drawn, with replacement, and facts taken, for each side.
        seed: Of the draws.

    Returns:
        ``(3, F) long`` distinct facts: subjects, relations, objects.
    """
    draws = torch.Generator().manual_seed(seed)
    sides = [_side(model, state, step, count, side, draws) for side in (0, 1)]
    return torch.cat(sides, dim=1).unique(dim=1)


def _side(model: RENET, state: State, step: int, count: int, side: int, draws: torch.Generator) -> Tensor:
    """``(3, <= count)`` facts found from the subjects' side (0) or the objects' (1)."""
    share = model.global_model.heads[side](state.moments[-1]).softmax(0)
    drawn = torch.multinomial(share.cpu(), count, replacement=True, generator=draws).unique().to(share.device)
    unit, relations = drawn + side * model.num_nodes, model.num_relations
    time = torch.full_like(unit, step)
    by_relation = model.relation_logits(state, unit, time).softmax(1)
    odds, order = (share[drawn, None] * by_relation).flatten().sort(descending=True)
    unit, relation = unit[order // relations], order % relations + side * relations
    best, facts = _best_facts(model, state, step, odds, unit, relation, count)
    head, relation, answer = facts[:, best > 0]
    return torch.stack([head, relation, answer] if side == 0 else [answer, relation - relations, head])


def _best_facts(
    model: RENET, state: State, step: int, odds: Tensor, unit: Tensor, relation: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Probabilities and facts ``(head, relation, answer)`` of the likeliest completions of pairs, likeliest pair first.

    A pair cannot hold a fact likelier than itself, so that the search ends, without loss, at the first pair that is
    less likely than as many facts as are wanted.
    """
    best, facts = odds.new_zeros(0), unit.new_zeros(3, 0)
    for start in range(0, len(odds), _PAIRS):
        if len(best) >= count and odds[start] <= best[-1]:
            break
        part = slice(start, start + _PAIRS)
        time = torch.full_like(unit[part], step)
        logits = model.answer_logits(state, unit[part], relation[part], time)
        joint = odds[part, None] * logits.softmax(1)
        value, place = joint.flatten().topk(min(count, joint.numel()))
        pair, answer = start + place // model.num_nodes, place % model.num_nodes
        more = torch.stack([unit[pair] % model.num_nodes, relation[pair], answer])
        best, facts = torch.cat([best, value]), torch.cat([facts, more], dim=1)
        best, kept = best.topk(min(count, len(best)))
        facts = facts[:, kept]
    return best, facts
