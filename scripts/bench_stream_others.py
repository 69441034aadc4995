"""TGN as torch_geometric's parts make it up, for ``bench_stream.py`` to be measured beside."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.graph import TemporalGraph


def geometric_tgn(
    train: TemporalGraph, device: torch.device, node_dim: int = 172, edge_dim: int = 172, time_dim: int = 100,
    neighbors: int = 10, batch_size: int = 200,
) -> tuple[Callable[[int], int], int]:  # fmt: skip
    """A training step, by number, that returns how many events it read; and how many there are in an epoch.

    Args:
        train: Events; their features, if any, are not used.
        device: Where it trains.
        node_dim, time_dim: Widths of memory and embeddings, and of the time encoding.
        edge_dim: Not used: an event's message is one zero, the least that the parts take.
        neighbors: Latest neighbours that a node attends to; known up to the batch before.
        batch_size: Events of a step.

    Raises:
        ImportError: If torch_geometric is not installed.
    """
    from torch_geometric.nn import TransformerConv
    from torch_geometric.nn.models.tgn import IdentityMessage, LastAggregator, LastNeighborLoader, TGNMemory

    class Embedding(nn.Module):
        def __init__(self, encoder: nn.Module):
            super().__init__()
            self.encoder = encoder
            width = 1 + time_dim
            self.attention = TransformerConv(node_dim, node_dim // 2, heads=2, dropout=0.1, edge_dim=width)

        def forward(self, x: Tensor, last: Tensor, edges: Tensor, time: Tensor, message: Tensor) -> Tensor:
            since = self.encoder((last[edges[0]] - time).to(x.dtype))
            return self.attention(x, edges, torch.cat([since, message], dim=1))

    message = torch.zeros(len(train), 1, device=device)
    memory = TGNMemory(
        train.num_nodes, 1, node_dim, time_dim, IdentityMessage(1, node_dim, time_dim), LastAggregator()
    ).to(device)  # fmt: skip
    embed = Embedding(memory.time_enc).to(device)
    score = nn.Sequential(nn.Linear(2 * node_dim, node_dim), nn.ReLU(), nn.Linear(node_dim, 1)).to(device)
    loader = LastNeighborLoader(train.num_nodes, size=neighbors, device=device)
    parameters = {*memory.parameters(), *embed.parameters(), *score.parameters()}
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    src, dst, time = (part.to(device) for part in (train.src, train.dst, train.time))
    pool, place = dst.unique(), torch.empty(train.num_nodes, dtype=torch.long, device=device)
    memory.train()

    def step(number: int) -> int:
        if number == 0:
            memory.reset_state()
            loader.reset_state()
        rows = slice(number * batch_size, (number + 1) * batch_size)
        u, v, t = src[rows], dst[rows], time[rows]
        other = pool[torch.randint(len(pool), (len(u),), device=device)]
        optimizer.zero_grad()
        nodes, edges, ids = loader(torch.cat([u, v, other]).unique())
        place[nodes] = torch.arange(len(nodes), device=device)
        x, last = memory(nodes)
        x = embed(x, last, edges, time[ids], message[ids])
        pairs = [torch.cat([x[place[u]], x[place[end]]], dim=1) for end in (v, other)]
        logits = score(torch.cat(pairs)).squeeze(1)
        labels = (torch.arange(len(logits), device=device) < len(u)).float()
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        memory.update_state(u, v, t, message[rows])
        loader.insert(u, v)
        loss.backward()
        optimizer.step()
        memory.detach()
        return len(u)

    return step, -(-len(train) // batch_size)
