"""RE-NET fact by fact, with dictionaries, loops and one query at a time. Slow, and obvious."""

from __future__ import annotations

import torch


def quadruples(graph):
    """The facts as a list of ``(s, r, o, t)``."""
    relation = [0] * len(graph) if graph.relation is None else graph.relation.tolist()
    return list(zip(graph.src.tolist(), relation, graph.dst.tolist(), graph.time.tolist(), strict=True))


def neighbours(facts, head, inverse, step):
    """``(relation, answer)`` of the facts of an entity at a step, as subject or, ``inverse``, as object."""
    if inverse:
        return [(r, s) for s, r, o, t in facts if o == head and t == step]
    return [(r, o) for s, r, o, t in facts if s == head and t == step]


def recent_steps(facts, head, inverse, time, length):
    """The last steps before a time at which an entity is active."""
    steps = sorted({t for s, _, o, t in facts if (o if inverse else s) == head and t < time})
    return steps[-length:]


def block_matrix(weight):
    """A whole matrix from its ``(B, b, b)`` blocks."""
    return torch.block_diag(*weight.unbind(0))


def convolve(layer, x, edges):
    """One relational convolution of vectors by entity along ``(u, relation, v)`` edges."""
    result = {}
    for node in x:
        into = [(u, r) for u, r, v in edges if v == node]
        result[node] = layer.loop.weight @ x[node]
        for u, r in into:
            result[node] = result[node] + x[u] @ block_matrix(layer.weight[r]) / len(into)
    return result


def snapshot_rows(layers, vectors, facts, step, relations, swap=False):
    """Outputs of both layers for every entity of a snapshot."""
    edges = []
    for s, r, o, t in facts:
        if t == step:
            there, back = (r + relations, r) if swap else (r, r + relations)
            edges += [(s, there, o), (o, back, s)]
    x = {node: vectors[node] for node in {node for u, _, v in edges for node in (u, v)}}
    hidden = {node: row.relu() for node, row in convolve(layers.first, x, edges).items()}
    return convolve(layers.second, hidden, edges)


def state_after(gru, inputs):
    """Last state of a GRU cell over a list of inputs, gate by gate; zeros for an empty list."""
    matrix, state = torch.cat(list(gru.parts), dim=1), torch.zeros(gru.dim)
    for given in inputs:
        by_input = (matrix @ given + gru.bias).split(gru.dim)
        by_state = (gru.state.weight @ state + gru.state.bias).split(gru.dim)
        reset, update = (torch.sigmoid(by_input[gate] + by_state[gate]) for gate in (0, 1))
        state = (1 - update) * torch.tanh(by_input[2] + reset * by_state[2]) + update * state
    return state


def description(model, facts, step):
    """What the global model's GRU reads about a snapshot: the largest entries over its nodes."""
    rows = snapshot_rows(model.layers, model.entities, facts, step, len(model.layers.first.weight) // 2)
    return torch.stack(list(rows.values())).amax(0) if rows else torch.zeros(model.gru.dim)


def moment(model, facts, step):
    """The global state H after a step."""
    first = max(0, step + 1 - model.length)
    return state_after(model.gru, [description(model, facts, past) for past in range(first, step + 1)])


def around(model, facts, head, inverse, step, relation):
    """g(N_t(s)) of the model's aggregator."""
    vectors, aggregator = model.encoder.entities, model.encoder.aggregator
    if model.aggregator == "rgcn":
        return snapshot_rows(aggregator.layers, vectors, facts, step, model.encoder.num_relations, swap=inverse)[head]
    answers = torch.tensor([answer for _, answer in neighbours(facts, head, inverse, step)])
    if model.aggregator == "mean":
        return vectors[answers].mean(0)
    logits = []
    for answer in answers:
        asked = aggregator.of_unit.weight @ vectors[head] + aggregator.of_answer.weight @ vectors[answer]
        if relation is not None:
            asked = asked + aggregator.of_relation.weight @ model.encoder.relations[relation]
        logits.append(aggregator.score.weight[0] @ torch.tanh(asked))
    return (torch.stack(logits).softmax(0)[:, None] * vectors[answers]).sum(0)


def answer_logits(model, facts, head, relation, time):
    """``(N,)`` logits of a query; inverse relations count from R on."""
    inverse, inputs = relation >= model.encoder.num_relations, []
    for step in recent_steps(facts, head, inverse, time, model.length):
        near = around(model, facts, head, inverse, step, relation)
        global_state = moment(model.global_model, facts, step)
        inputs.append(torch.cat([near, global_state, model.encoder.entities[head], model.encoder.relations[relation]]))
    state = state_after(model.encoder.event_gru, inputs)
    return model.encoder.answer_out(torch.cat([model.encoder.entities[head], state, model.encoder.relations[relation]]))


def relation_logits(model, facts, head, inverse, time):
    """``(R,)`` logits of the relation of an entity's fact."""
    inputs = []
    for step in recent_steps(facts, head, inverse, time, model.length):
        near = around(model, facts, head, inverse, step, None)
        inputs.append(torch.cat([near, moment(model.global_model, facts, step), model.encoder.entities[head]]))
    return model.encoder.relation_out(
        torch.cat([model.encoder.entities[head], state_after(model.encoder.entity_gru, inputs)])
    )


def loss(model, facts, batch):
    """Of the facts at the places of a batch: cross-entropies of answers and relations, both sides, means over facts."""
    total = 0.0
    for place in batch:
        s, r, o, t = facts[place]
        for head, relation, answer in ((s, r, o), (o, r + model.encoder.num_relations, s)):
            asked = answer_logits(model, facts, head, relation, t).log_softmax(0)[answer]
            which = relation_logits(model, facts, head, relation >= model.encoder.num_relations, t).log_softmax(0)[r]
            total = total - (asked + model.relation_weight * which) / len(batch)
    return total


def global_loss(model, facts, targets):
    """Soft cross-entropy of the shares of subjects and objects, summed, mean over the steps."""
    total = 0.0
    for step in targets:
        state = moment(model, facts, step - 1)
        for head, end in zip(model.heads, (0, 2), strict=True):
            log_p = head(state).log_softmax(0)
            ends = [fact[end] for fact in facts if fact[3] == step]
            total = total - torch.stack([log_p[node] for node in ends]).mean() / len(targets)
    return total


def generated(model, facts, step, count, seed):
    """The likeliest facts of the next step by looking at all of the drawn entities."""
    draws, found = torch.Generator().manual_seed(seed), set()
    for side, head in enumerate(model.global_model.heads):
        share = head(moment(model.global_model, facts, step - 1)).softmax(0)
        drawn = sorted(set(torch.multinomial(share, count, replacement=True, generator=draws).tolist()))
        joint = []
        for entity in drawn:
            by_relation = relation_logits(model, facts, entity, side == 1, step).softmax(0)
            for r in range(model.encoder.num_relations):
                asked = r + side * model.encoder.num_relations
                by_answer = answer_logits(model, facts, entity, asked, step).softmax(0)
                odds = share[entity] * by_relation[r] * by_answer
                joint += [
                    (float(p), (entity, r, o) if side == 0 else (o, r, entity)) for o, p in enumerate(odds)
                ]  # fmt: skip
        joint.sort(key=lambda pair: -pair[0])
        found |= {fact for _, fact in joint[:count]}
    return found
