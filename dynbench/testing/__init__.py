"""The contract of models and protocols as plain functions, for this package's tests and for those of plug-ins.

Every check takes the name of a choice, plays the first episodes of a story on a tiny graph at ``budget=smoke``, and
raises ``AssertionError`` with a sentence that says what is wrong. A plug-in's whole test may be::

    from dynbench.testing import check_model

    def test_my_model():
        check_model("my_model")
"""

from dynbench.testing.models import (
    PAIR_CHECKS,
    check_answers_unseen,
    check_card,
    check_causality,
    check_declarations,
    check_gradients,
    check_mixed_precision,
    check_model,
    check_order,
    check_replay,
    check_resume,
    check_resume_in_fit,
    check_saving,
    check_seeds,
    check_small_state,
)
from dynbench.testing.protocols import (
    PROTOCOL_CHECKS,
    ConstantModel,
    check_chance,
    check_episodes,
    check_protocol,
    check_questions,
    check_same_pairs,
    check_stated,
)
from dynbench.testing.stage import (
    NotApplicable,
    altered,
    check_settings,
    directions,
    graph_for,
    make,
    possible_pairs,
    tell,
    tiny_graph,
)

__all__ = [
    "PAIR_CHECKS",
    "PROTOCOL_CHECKS",
    "ConstantModel",
    "NotApplicable",
    "altered",
    "check_answers_unseen",
    "check_card",
    "check_causality",
    "check_chance",
    "check_declarations",
    "check_episodes",
    "check_gradients",
    "check_mixed_precision",
    "check_model",
    "check_order",
    "check_protocol",
    "check_questions",
    "check_replay",
    "check_resume",
    "check_resume_in_fit",
    "check_same_pairs",
    "check_saving",
    "check_seeds",
    "check_settings",
    "check_small_state",
    "check_stated",
    "directions",
    "graph_for",
    "make",
    "possible_pairs",
    "tell",
    "tiny_graph",
]
