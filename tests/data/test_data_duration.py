"""Durations and the windows cut with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbench.data.cutting import cut, published_cut, to_events
from dynbench.data.duration import SECONDS, describe, in_units, parse_duration
from dynbench.data.events import RawEvents, number_by_appearance
from dynbench.errors import DataError


@given(st.integers(1, 10**6), st.sampled_from(sorted(SECONDS)), st.sampled_from(["", " ", "  "]))
def test_whole_durations_are_read_back(amount, unit, gap):
    assert parse_duration(f"{amount}{gap}{unit}") == (amount, unit)
    assert in_units(f"{amount}{gap}{unit}", 1.0) == amount * SECONDS[unit]


@given(st.floats(1e-6, 1e9), st.sampled_from(sorted(SECONDS)), st.floats(1e-3, 1e5))
def test_conversion_is_proportional_to_the_unit_of_time(amount, unit, seconds):
    assert in_units(f"{amount!r}{unit}", seconds) == pytest.approx(amount * SECONDS[unit] / seconds)


@given(st.floats(min_value=1e-9, allow_infinity=False))
def test_plain_numbers_stay_as_they_are(amount):
    assert in_units(amount, None) == amount
    assert in_units(repr(amount), 86400.0) == amount


@given(st.text(max_size=8))
def test_any_text_is_read_or_refused_by_name(text):
    outcome = _amount_or_message(text)
    if isinstance(outcome, str):
        assert outcome.startswith("data.span=")
    else:
        assert outcome > 0
        assert math.isfinite(outcome)


def _amount_or_message(text):
    try:
        return parse_duration(text, "data.span")[0]
    except DataError as error:
        return str(error)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10y", "unknown unit 'y'; use s, m, h, d or w"),
        ("10D", "unknown unit 'D'"),
        ("-3d", "not positive"),
        ("0h", "not positive"),
        (0, "not positive"),
        ("1e999d", "not positive"),
        ("ten days", "is not a duration"),
        ("", "is not a duration"),
        (True, "is not a duration"),
    ],
)
def test_bad_durations_name_the_setting_and_the_cure(value, words):
    with pytest.raises(DataError, match=words) as caught:
        in_units(value, 1.0)
    assert str(caught.value).startswith(f"data.window={value}")


def test_a_unit_needs_time_in_seconds():
    with pytest.raises(DataError, match=r"data\.window=10d has a unit, but the time .* plain number"):
        in_units("10d", None)


def test_durations_in_words():
    assert [describe(90, 1.0), describe(3, 86400.0), describe(7, None)] == ["1.5m", "3d", "7 time units"]


# ---- windows ----------------------------------------------------------------------------------------------


def _events(time, **fields):
    time = np.asarray(time)
    return RawEvents(np.arange(len(time)) % 5, (np.arange(len(time)) + 1) % 5, time, num_nodes=5, **fields)


def test_windows_count_from_the_first_event_and_keep_silent_steps():
    graph = to_events(_events([100, 109, 110, 140]), True, False, 1.0)
    snapshots = cut(graph, "10s", None, True)
    assert snapshots.num_steps == 5
    assert snapshots.time.tolist() == [0, 0, 1, 4]
    assert snapshots.seconds is None


def test_span_drops_what_comes_later_and_rounds_the_steps_up():
    graph = to_events(_events([0, 9, 10, 24, 25, 40]), True, False, 1.0)
    snapshots = cut(graph, "10s", "25s", True)
    assert snapshots.num_steps == 3
    assert snapshots.time.tolist() == [0, 0, 1, 2]


def test_repeated_and_reversed_pairs_merge_where_undirected():
    raw = RawEvents(np.array([1, 0, 1, 2]), np.array([0, 1, 0, 2]), np.array([0, 1, 2, 9]))
    directed, undirected = (cut(to_events(raw, True, False, 1.0), 5, None, d) for d in (True, False))
    assert list(zip(directed.src.tolist(), directed.dst.tolist(), directed.weight.tolist(), strict=True)) == [
        (0, 1, 1.0),
        (1, 0, 2.0),
        (2, 2, 1.0),
    ]
    assert list(zip(undirected.src.tolist(), undirected.dst.tolist(), undirected.weight.tolist(), strict=True)) == [
        (0, 1, 3.0),
        (2, 2, 1.0),
    ]


@given(
    st.lists(st.integers(0, 10_000), min_size=2, max_size=60).filter(lambda times: len(set(times)) > 1),
    st.integers(1, 400),
)
def test_every_event_lands_in_its_window(times, window):
    times = np.sort(np.array(times))
    window = min(window, int(times[-1] - times[0]))
    snapshots = cut(to_events(_events(times), True, False, 1.0), window, None, True)
    expected = np.bincount((times - times[0]) // window, minlength=snapshots.num_steps)
    found = np.bincount(snapshots.time.numpy(), weights=snapshots.weight.numpy(), minlength=snapshots.num_steps)
    assert found.tolist() == expected.tolist()
    assert expected[-1] > 0


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=40).filter(lambda t: max(t) - min(t) > 1), st.floats(0.3, 1))
def test_no_event_is_lost_with_times_and_windows_that_are_not_whole(times, window):
    graph = to_events(_events(np.array(times)), True, False, 1.0)
    assert cut(graph, window, None, True).weight.sum() == len(times)


@pytest.mark.parametrize(
    ("window", "span", "words"),
    [
        ("2m", None, r"data\.window=2m is longer than the data \(1m\)"),
        ("10s", "90s", r"data\.span=90s is longer than the data \(1m\)"),
        ("30s", "20s", r"data\.window=30s is longer than data\.span \(20s\)"),
        ("0.0001s", None, "600,001 snapshots; take a longer window"),
        ("10x", None, "unknown unit 'x'"),
    ],
)
def test_windows_that_make_no_sense(window, span, words):
    graph = to_events(_events([0, 60]), True, False, 1.0)
    with pytest.raises(DataError, match=words):
        cut(graph, window, span, True)


def test_a_published_cut_groups_unsorted_steps_and_drops_what_is_outside():
    raw = _events([0, 1, 2, 3], snapshot=np.array([2, 0, -1, 2]), weight=np.array([1.0, 5.0, 7.0, 2.0]))
    snapshots = published_cut(raw, False, False)
    assert snapshots.num_steps == 3
    assert snapshots.time.tolist() == [0, 2, 2]
    assert snapshots.src.tolist() == [1, 0, 3]
    assert snapshots.dst.tolist() == [2, 1, 4]
    assert snapshots.weight.tolist() == [5.0, 1.0, 2.0]


def test_bipartite_graphs_have_no_node_on_both_sides():
    with pytest.raises(DataError, match=r"node 1 occurs as source and as destination.*data\.bipartite=false"):
        to_events(RawEvents(np.array([0, 1]), np.array([1, 2]), np.array([0, 1])), False, True, 1.0)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_numbers_by_appearance_lead_back_to_the_values(values):
    numbers, old = number_by_appearance(np.array(values))
    assert old[numbers].tolist() == values
    assert [number for at, number in enumerate(numbers) if number not in numbers[:at]] == list(range(len(old)))
