"""Know-Evolve and DyRep fact by fact: one vector per entity in a list, one event at a time."""

from __future__ import annotations

import math

import torch

from dynbench.models.kg.know_evolve import KnowEvolve


def start(model):
    """Vectors, times and relations of the last events before anything happened."""
    return list(model.start.unbind(0)), [-1] * model.num_nodes, [None] * model.num_nodes


def since(model, last, step):
    return model.time_scale * (1 if last < 0 else max(1, step - last))


def met(facts, entity, step):
    """Whom an entity met at its last active step before a step, as often as it did."""
    steps = [t for s, _, o, t in facts if entity in (s, o) and t < step]
    found = []
    for s, _, o, t in facts:
        if steps and t == max(steps):
            found += [o] * (s == entity) + [s] * (o == entity)
    return found


def changed(model, facts, state, entity, other, role, step):
    """The vector that one event asks an entity to have."""
    vectors, times, relations = state
    cell, gone = model.cell, since(model, times[entity], step)
    if isinstance(model, KnowEvolve):
        last = relations[entity]
        word = torch.zeros(model.relation_dim) if last is None else cell.relations.weight[last]
        inner = torch.tanh(cell.inner.weight @ torch.cat([vectors[entity], vectors[other], word]))
        return torch.tanh(gone * cell.of_time[role] + cell.outer.weight @ inner)
    near = met(facts, other, step)
    rows = [torch.sigmoid((cell.near.weight @ vectors[i] + cell.near.bias) / len(near)) for i in near]
    struct = torch.stack(rows).amax(0) if rows else torch.zeros(model.dim)
    return torch.sigmoid(cell.struct.weight @ struct + cell.own.weight @ vectors[entity] + gone * cell.of_time)


def after(model, facts, state, step):
    """The state after all facts of a step; changes of an entity are averaged."""
    vectors, times, relations = (list(part) for part in state)
    now = [fact for fact in facts if fact[3] == step]
    for entity in {end for s, _, o, _ in now for end in (s, o)}:
        asked = [changed(model, facts, state, s, o, 0, step) for s, _, o, _ in now if s == entity]
        asked += [changed(model, facts, state, o, s, 1, step) for s, _, o, _ in now if o == entity]
        named = [r for s, r, _, _ in now if s == entity] + [r for _, r, o, _ in now if o == entity]
        # In the list of all ends, subjects stand before objects: the last one counts.
        vectors[entity], times[entity] = torch.stack(asked).mean(0), step
        relations[entity] = named[-1]
    return vectors, times, relations


def likelihood(model, state, fact, others):
    """Negative log-likelihood of a fact and of the absence of those with other objects and other subjects."""
    s, r, o, step = fact
    vectors, times, _ = state
    if isinstance(model, KnowEvolve):

        def score(a, b):
            return vectors[a] @ model.intensity.matrices[r] @ vectors[b]

        def gone(a, b):
            return min(since(model, times[a], step), since(model, times[b], step))

        total = -(score(s, o) + math.log(gone(s, o))) + 0.5 * score(s, o).exp() * gone(s, o) ** 2
        for other in others[0]:
            total = total + 0.5 * score(s, other).exp() * gone(s, other) ** 2
        for other in others[1]:
            total = total + 0.5 * score(other, o).exp() * gone(other, o) ** 2
        return total
    psi = model.intensity.log_psi[r].exp()

    def intensity(a, b):
        return psi * torch.log(1 + torch.exp(model.intensity.omega[r] @ torch.cat([vectors[a], vectors[b]]) / psi))

    total = -torch.log(intensity(s, o))
    total = total + sum(intensity(s, other) for other in others[0]) / len(others[0])
    return total + sum(intensity(other, o) for other in others[1]) / len(others[1])


def answer_logits(model, state, head, relation):
    """``(N,)`` logits of a query; inverse relations count from R on."""
    first, _, second = model.decoder
    hidden = first.weight @ torch.cat([state[0][head], model.asked[relation]]) + first.bias
    return second.weight @ hidden.relu() + second.bias
