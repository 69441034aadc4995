"""Event-stream models one question, one node and one event at a time, with every vector at full width.

Nothing is folded, shared, packed or left out: what the equations of the cards say, with zeros where features or events
are missing. Parameters are borrowed from the model that is checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.graph import TemporalGraph


@dataclass
class Stream:
    """Events that are known, and what is known of their nodes."""

    model: nn.Module
    graph: TemporalGraph
    upto: int | None = None  # events by position that neighbours are looked up among
    memory: dict = field(default_factory=dict)

    @property
    def origin(self):
        return self.graph.time[0].item()

    def history(self, node: int, time) -> list[tuple[int, int, float]]:
        """Other end, event and time of all earlier events; a self-loop counts at both of its ends."""
        found = []
        for event in range(len(self.graph) if self.upto is None else self.upto):
            u, v, t = (part[event].item() for part in (self.graph.src, self.graph.dst, self.graph.time))
            if t < time:
                told = int(np.float32(t)) if self.model.rounded else t
                found += [(v, event, told)] * (u == node) + [(u, event, told)] * (v == node)
        return found

    def latest(self, node: int, time, count: int) -> list:
        """The latest ones, with ``None`` in front for what is missing."""
        found = self.history(node, time)[-count:]
        return [None] * (count - len(found)) + found

    def x(self, node: int | None) -> Tensor:
        return self._padded(self.graph.node_features, node, self.model.node_dim)

    def e(self, event: int | None) -> Tensor:
        return self._padded(self.graph.edge_features, event, self.model.edge_dim)

    def phi(self, since: float) -> Tensor:
        time = self.model.time
        return torch.cos(time.frequency * float(since) + time.phase)

    @staticmethod
    def _padded(table: Tensor | None, row: int | None, width: int) -> Tensor:
        if table is None or row is None:
            return torch.zeros(width)
        return F.pad(table[row], (0, width - table.shape[1]))


def merged(merge: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """W_2 relu( W_1 [x | y] + b_1 ) + b_2."""
    return merge.second(torch.relu(F.linear(torch.cat([x, y]), merge.first.weight, merge.first.bias)))


def attention(layer: nn.Module, query: Tensor, keys: Tensor, here: list[bool]) -> Tensor:
    """One query over K keys, every projection written out."""
    width, parts = layer.width // layer.heads, []
    for head in range(layer.heads):
        rows = slice(head * width, (head + 1) * width)
        q, k, v = layer.query.weight[rows] @ query, keys @ layer.key.weight[rows].T, keys @ layer.value.weight[rows].T
        score = (k @ q) / width**0.5
        score = torch.where(torch.tensor(here), score, torch.full_like(score, -1e10))
        parts.append(score.softmax(0) @ v)
    return layer.norm(layer.out(torch.cat(parts)) + query)


def tree(stream: Stream, start, node: int | None, time, layer: int) -> Tensor:
    """h_l(v, t) by recursion, from h_0 = start(v)."""
    if layer == 0:
        return start(node)
    layers = stream.model.tree
    near = [None] * layers.count if node is None else stream.latest(node, time, layers.count)
    keys = []
    for entry in near:
        other, event, then = (None, None, stream.origin) if entry is None else entry
        below = tree(stream, start, other, then, layer - 1)
        keys.append(torch.cat([below, stream.e(event), stream.phi(time - then)]))
    query = torch.cat([tree(stream, start, node, time, layer - 1), stream.phi(0)])
    answer = attention(layers.attention[layer - 1], query, torch.stack(keys), [entry is not None for entry in near])
    return merged(layers.merge[layer - 1], answer, start(node))


def tgat(stream: Stream, u: int, v: int, time) -> Tensor:
    ends = [tree(stream, stream.x, node, time, len(stream.model.tree.attention)) for node in (u, v)]
    return merged(stream.model.predictor, *ends).squeeze()


# ---- memory -----------------------------------------------------------------------------------------------------


class Remembering(Stream):
    """A stream whose nodes have memories: dictionaries of vectors, times and messages."""

    def cell(self) -> nn.Module:
        update = self.model.update
        kind = nn.GRUCell if update.kind == "gru" else nn.RNNCell
        cell = kind(sum(update.widths), update.widths[0])
        for name, parameter in update.named_parameters():
            del cell._parameters[name]
            setattr(cell, name, parameter)
        return cell

    def vector(self, node: int | None) -> Tensor:
        """Memory with the waiting message written."""
        entry = self.memory.get(node)
        if entry is None:
            return torch.zeros(self.model.node_dim)
        if entry["message"] is None:
            return entry["vector"]
        return self.cell()(entry["message"][None], entry["vector"][None])[0]

    def last(self, node: int):
        entry = self.memory.get(node)
        return self.origin if entry is None else entry["last"] if entry["message"] is None else entry["sent"]

    def start(self, node: int | None) -> Tensor:
        return self.vector(node) + self.x(node)

    def surroundings(self, node: int, time) -> Tensor:
        return tree(self, self.start, node, time, len(self.model.tree.attention))

    def take_in(self, first: int, stop: int, about) -> None:
        """Write the messages of a batch's nodes, then leave those of its events, a later one over an earlier one.

        Events of weight 0 neither write nor leave any.
        """
        weight = self.graph.weight
        events = [
            (*(p[i].item() for p in (self.graph.src, self.graph.dst, self.graph.time)), i)
            for i in range(first, stop)
            if weight is None or weight[i] != 0
        ]
        with torch.no_grad():
            told = {(node, time): about(self, node, time) for u, v, time, _ in events for node in (u, v)}
            nodes = sorted({node for u, v, *_ in events for node in (u, v)})
            written = {node: {"vector": self.vector(node), "last": self.last(node), "message": None} for node in nodes}
            self.memory |= written
            vectors = {node: self.memory[node]["vector"] for node in nodes}
            messages = {}
            for u, v, time, event in events:
                for node, other in ((u, v), (v, u)):
                    partner = vectors[other] if about is plain else told[other, time]
                    since = self.phi(time - self.memory[node]["last"])
                    messages[node] = torch.cat([vectors[node], partner, since, self.e(event)]), time
            for node, (message, time) in messages.items():
                self.memory[node] |= {"message": message, "sent": time}


def plain(stream: Remembering, node: int, time) -> Tensor:
    return stream.vector(node)


def around(stream: Remembering, node: int, time) -> Tensor:
    return stream.surroundings(node, time)


def tgn(stream: Remembering, u: int, v: int, time) -> Tensor:
    return merged(stream.model.predictor, *(stream.surroundings(node, time) for node in (u, v))).squeeze()


def dyrep(stream: Remembering, u: int, v: int, time) -> Tensor:
    return merged(stream.model.predictor, stream.vector(u), stream.vector(v)).squeeze()


def jodie(stream: Remembering, u: int, v: int, time) -> Tensor:
    ends = []
    for node, (mean, deviation) in zip((u, v), stream.model.scales, strict=True):
        silent = (torch.tensor([float(time - stream.last(node))]) - mean) / deviation
        ends.append(stream.vector(node) * (1 + stream.model.drift(silent)))
    return merged(stream.model.predictor, *ends).squeeze()


def role_scales(graph: TemporalGraph) -> Tensor:
    """Mean and deviation of the time since the node's event before in the same role, or since the start."""
    scales = []
    for role in (graph.src, graph.dst):
        before, since = {}, []
        for node, time in zip(role.tolist(), graph.time.tolist(), strict=True):
            since.append(float(time - before.get(node, graph.time[0].item())))
            before[node] = time
        scales.append([torch.tensor(since).double().mean(), torch.tensor(since).double().std(correction=0)])
    return torch.tensor(scales).float()


# ---- sequences --------------------------------------------------------------------------------------------------


def mixer(stream: Stream, u: int, v: int, time) -> Tensor:
    model, ends = stream.model, []
    for node in (u, v):
        tokens, met = [], torch.zeros(model.node_dim)
        for entry in stream.latest(node, time, model.neighbors):
            event, phi = (
                (None, torch.zeros(model.time_dim)) if entry is None else (entry[1], stream.phi(time - entry[2]))
            )
            tokens.append(F.linear(torch.cat([stream.e(event), phi]), model.token.weight, model.token.bias))
        x = torch.stack(tokens)
        for block in model.blocks:
            x = x + block.token_mixing(block.token_norm(x.T)).T
            x = x + block.channel_mixing(block.channel_norm(x))
        near = stream.history(node, time)[-model.gap :]
        for other, *_ in near:
            met = met + stream.x(other) / len(near) / model.gap
        both = torch.cat([x.mean(0), stream.x(node) + met])
        ends.append(F.linear(both, model.out.weight, model.out.bias))
    return merged(model.predictor, *ends).squeeze()


def torch_attention(ours: nn.Module) -> nn.MultiheadAttention:
    """Torch's own module with the parameters of ours."""
    theirs = nn.MultiheadAttention(ours.out.in_features, ours.heads, batch_first=True)
    for place, name, parameter in (
        (theirs, "in_proj_weight", ours.project.weight), (theirs, "in_proj_bias", ours.project.bias),
        (theirs.out_proj, "weight", ours.out.weight), (theirs.out_proj, "bias", ours.out.bias),
    ):  # fmt: skip
        del place._parameters[name]
        setattr(place, name, parameter)
    return theirs


def post_norm(block: nn.Module, x: Tensor, other: Tensor, padding: Tensor | None = None) -> Tensor:
    """A block of TCL and CAWN, ``(1, L, width)`` tokens that ask ``(1, M, width)`` ones."""
    attended, _ = torch_attention(block.attention)(x, other, other, key_padding_mask=padding)
    x = block.norms[0](x + attended)
    return block.norms[1](x + block.feed_forward(x))


def pre_norm(block: nn.Module, x: Tensor) -> Tensor:
    """A block of DyGFormer."""
    normed = block.norms[0](x)
    x = x + torch_attention(block.attention)(normed, normed, normed)[0]
    return x + block.feed_forward(block.norms[1](x))


def tcl(stream: Stream, u: int, v: int, time) -> Tensor:
    model, sides, away = stream.model, [], []
    for node in (u, v):
        tokens, padding = [], []
        near = [(node, None, time), *stream.latest(node, time, model.neighbors)]
        for depth, entry in enumerate(near):
            other, event, then = (None, None, stream.origin) if entry is None else entry
            token = model.node.weight @ stream.x(other) + model.node.bias + model.edge.weight @ stream.e(event)
            token = token + model.edge.bias + model.moment(stream.phi(time - then)) + model.depth.weight[depth]
            tokens.append(token)
            padding.append(entry is None)
        sides.append(torch.stack(tokens)[None])
        away.append(torch.tensor(padding)[None])
    for block in model.blocks:
        alone = [post_norm(block, x, x, padding) for x, padding in zip(sides, away, strict=True)]
        sides = [post_norm(block, alone[i], alone[1 - i], away[1 - i]) for i in (0, 1)]
    return merged(model.predictor, *(model.out(x[0, 0]) for x in sides)).squeeze()


def dygformer(stream: Stream, u: int, v: int, time, lengths: tuple[int, int] | None = None) -> Tensor:
    """One pair; with ``lengths``, sequences are padded to so many tokens, and the padding is read."""
    model = stream.model
    sides = [[(node, None, time), *stream.history(node, time)[-(model.length - 1) :]] for node in (u, v)]
    names = [[entry[0] for entry in side] for side in sides]

    def g(count: int) -> Tensor:
        return model.count_second(torch.relu(model.count_first(torch.tensor([float(count)]))))

    patches, sizes = [], []
    for place, side in enumerate(sides):
        wanted = -(-len(side) // model.patch) * model.patch if lengths is None else lengths[place]
        side = side + [None] * (wanted - len(side))
        sizes.append(wanted // model.patch)
        for start in range(0, wanted, model.patch):
            channels = [[], [], [], []]
            for entry in side[start : start + model.patch]:
                if entry is None:
                    parts = stream.x(None), stream.e(None), torch.zeros(model.time_dim), g(0) + g(0)
                else:
                    counts = [g(names[other].count(entry[0])) for other in (0, 1)]
                    parts = stream.x(entry[0]), stream.e(entry[1]), stream.phi(time - entry[2]), sum(counts)
                for channel, part in zip(channels, parts, strict=True):
                    channel.append(part)
            layers = (model.node, model.edge, model.moment, model.count)
            patches.append(
                torch.cat([F.linear(torch.cat(c), y.weight, y.bias) for c, y in zip(channels, layers, strict=True)])
            )
    x = torch.stack(patches)[None]
    for block in model.blocks:
        x = pre_norm(block, x)
    ends = [model.out(part.mean(0)) for part in x[0].split(sizes)]
    return merged(model.predictor, *ends).squeeze()


def cawn(stream: Stream, u: int, v: int, time, drawn) -> Tensor:
    """One pair; ``drawn(node, time)`` gives the K draws of a node, ``None`` where it has no events."""
    model = stream.model
    walks = [drawn(node, time) for node in (u, v)]

    def position(node: int | None) -> Tensor:
        rows = []
        for start, side in zip((u, v), walks, strict=True):
            share = sum(entry is not None and entry[0] == node for entry in side) / model.walks
            rows.append(torch.tensor([float(node == start), share]) if node is not None else torch.zeros(2))
        return model.position(rows[0]) + model.position(rows[1])

    ends = []
    for node, side in zip((u, v), walks, strict=True):
        read = []
        for entry in side:
            steps, places = (
                [torch.cat([stream.x(node), stream.e(None), stream.phi(0), position(node)])],
                [position(node)],
            )
            if entry is not None:
                other, event, then = entry
                steps.append(torch.cat([stream.x(other), stream.e(event), stream.phi(time - then), position(other)]))
                places.append(position(other))
            both = [
                reader.lstm(torch.stack(inputs)[None])[0][0, -1]
                for reader, inputs in ((model.walk_reader, steps), (model.position_reader, places))
            ]
            read.append(F.linear(torch.cat(both), model.project.weight, model.project.bias))
        x = torch.stack(read)[None]
        ends.append(model.out(post_norm(model.block, x, x)[0].mean(0)))
    return merged(model.predictor, *ends).squeeze()
