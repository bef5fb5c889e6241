"""What a level returns becomes facts, tables and curves, none of it lost."""

import itertools

from simlift.verify.evidence_tables import MAX_ROWS, sections

ROWS = [{"site": "serve", "p": 0.25, "holds": True}, {"site": "start", "n": 12_000}]


def only(evidence: dict) -> object:
    (section,) = sections({"E1": {"holds": True, "count": 3, "what": [], **evidence}})
    return section


def test_scalars_are_facts() -> None:
    section = only({"alpha": 0.001, "n": 1200, "why": "so", "nothing": None, "stopped": False})
    assert section.facts == [
        ("alpha", "0.001"),
        ("n", "1,200"),
        ("why", "so"),
        ("nothing", ""),
        ("stopped", "no"),
    ]


def test_rows_are_a_table_with_every_column() -> None:
    (table,) = only({"rows": ROWS}).tables
    assert table.caption == "rows" and table.columns == ["site", "p", "holds", "n"]
    assert table.rows == [["serve", "0.25", "yes", ""], ["start", "", "", "12,000"]]


def test_rows_by_name_are_a_table() -> None:
    (table,) = only({"levels": {"L1": {"killed": 3}, "L2": {"killed": 5, "by": ["a", "b"]}}}).tables
    assert table.columns == ["", "killed", "by"]
    assert table.rows == [["L1", "3", ""], ["L2", "5", "a, b"]]


def test_deeper_things_are_walked_into() -> None:
    section = only({"files": {"pong.h": {"unreached": ROWS, "branches": 94}}})
    assert section.facts == [("files, pong.h, branches", "94")]
    assert section.tables[0].caption == "files, pong.h, unreached"
    variants = [{"variant": name, "policies": ROWS} for name in ("float32", "float64")]
    captions = [table.caption for table in only({"variants": variants}).tables]
    assert captions == ["variants, float32, policies", "variants, float64, policies"]


def test_long_tables_say_how_much_is_left_out() -> None:
    (table,) = only({"rows": [{"n": n} for n in range(MAX_ROWS + 7)]}).tables
    assert len(table.rows) == MAX_ROWS and table.left_out == 7


def test_lists_of_numbers_of_one_length_are_curves() -> None:
    curves = {"ours": [10.0**-n for n in range(9)], "reference": [1.0] * 8 + [float("nan")]}
    (chart,) = only({"divergence": curves}).charts
    assert chart.caption == "divergence (logarithmic)"
    names = [name for name, _ in chart.lines]
    points = [line.split() for _, line in chart.lines]
    assert names == ["ours", "reference"] and [len(p) for p in points] == [9, 8]
    heights = [float(point.split(",")[1]) for point in points[0]]
    steps = {round(b - a, 0) for a, b in itertools.pairwise(heights)}
    assert heights == sorted(heights) and len(steps) <= 2  # a straight line on that axis
