"""The HTML report, read as a file and in a browser."""

import dataclasses
import html.parser
import json
import re
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pong import Pong
from simlift.verify import report
from simlift.verify.report import ReportFailed, write_report, write_report_apart
from simlift.verify.runner import Options, verify
from simlift.verify.suites import get_suite

pytestmark = pytest.mark.reference

STEPS = 60


class Heavy(Pong):
    """Wrong: after the first hit the ball falls, faster and faster."""

    def transition(self, state, action, draws, params):
        state, outcome = super().transition(state, action, draws, params)
        falling = jnp.where(state.n_bounces > 0, state.ball_vy - 0.5, state.ball_vy)
        return state.replace(ball_vy=falling), outcome


class Blind(Pong):
    """An environment whose author has drawn nothing yet."""

    def render(self, state, params=None):
        raise NotImplementedError


def small_suite(cls=Pong):
    """Pong's suite with one variant, two policies and two scenarios."""
    suite = get_suite("pong")

    def environment(variant):
        return cls(**variant.config), suite.environment(variant)[1]

    def policies(variant):
        every = suite.policies(variant)
        return {name: every[name] for name in ("follow", "edge")}

    return dataclasses.replace(
        suite,
        variants=suite.variants[:1],
        environment=environment,
        policies=policies,
        scenarios=[s for s in suite.scenarios if s.name.startswith("spin_")][:2],
        properties=(),
    )


def verified(cls, folder):
    """(suite, result, path of the report)."""
    suite = small_suite(cls)
    options = Options(episodes=2, seed=5, levels=("L2", "L3"), bank=folder / "bank")
    result = json.loads(json.dumps(verify(suite, options)))
    path = write_report(suite, result, folder / "report.html", num_samples=1, sample_steps=STEPS)
    return suite, result, path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return verified(Pong, tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return verified(Heavy, tmp_path_factory.mktemp("bad"))


def page_data(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1])


# -- the file


def test_a_report_of_equality_says_what_is_claimed_and_how_far(good):
    _, result, path = good
    page = path.read_text()
    assert result["holds"]
    assert "✓ Holds" in page
    assert "Claim E3." in page
    assert f"No mismatch in <strong>{result['compared']:,}</strong> transitions" in page
    assert f"<strong>{int(result['compared'] / 3):,}</strong>" in page
    assert "edge, follow" in page
    assert 'id="divergences"' not in page


def test_every_field_and_every_row_is_listed(good):
    suite, result, path = good
    page = path.read_text()
    for name in suite.compared_fields():
        assert f'<th scope="row">{name}</th><td>exactly, floats bit by bit</td>' in page
    for name, why in result["ignored"].items():
        assert re.search(rf"<th scope=\"row\">{name}</th><td>{re.escape(why[:9])}", page)
    for row in result["levels"]:
        assert row["policy"].replace("_", " ") in page
    assert f'{result["reference"]["name"]}</th><td class="value">3.0.0' in page


@pytest.mark.parametrize("case", ["good", "bad"])
def test_a_report_is_small_and_needs_nothing_else(case, request):
    page = request.getfixturevalue(case)[2].read_text()
    assert len(page) < 3_000_000
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["'](?!data:|#|")""", page)
    assert not re.findall(r"https?:|@import|url\(|fetch\(|XMLHttp", page)


def test_a_report_of_a_difference_tells_its_story(bad):
    _, result, path = bad
    page = path.read_text()
    story = result["divergences"][0]
    assert "✗ Does not hold" in page
    assert "Claim" not in page
    assert f"1. <code>{story['field']}</code>: the reference has" in page
    assert story["command"] in page
    assert f"seed {story['seed']}" in page


def test_the_sample_is_what_the_reference_did(good):
    _, _, path = good
    viewer = page_data(path)["viewers"]["sample-1"]
    field = {field["name"]: field for field in viewer["fields"]}
    # Ten pixels a step from a fifth of the court on.
    assert field["ball_x"]["start"] == "100.0"
    assert field["ball_x"]["reference"][:17] == [f"{110.0 + 10 * t}" for t in range(17)]
    assert field["tick"]["reference"][:37] == [str(t + 1) for t in range(37)]
    assert viewer["different"] == []
    assert viewer["alike"]
    assert all(field["ours"] == {} for field in viewer["fields"])
    assert viewer["pictures"][0] == viewer["pictures"][1]


def test_the_pictures_of_both_sides_part_where_the_states_do(bad):
    data = page_data(bad[2])
    viewer = data["viewers"]["sample-1"]
    first = viewer["different"][0]
    theirs, ours = viewer["pictures"]
    assert theirs[: first + 1] == ours[: first + 1]
    assert theirs[first + 2 :] != ours[first + 2 :]
    assert max(theirs + ours) == len(data["pictures"]) - 1


def test_text_from_the_run_cannot_break_the_page(good, tmp_path):
    suite, result, _ = good
    evil = "</script><script>alert(1)</script>"
    rows = [{**result["levels"][0], "what": [evil]}]
    path = write_report(suite, {**result, "levels": rows}, tmp_path / "a.html", num_samples=0)
    assert evil not in path.read_text()
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in path.read_text()


def test_a_lost_tape_leaves_the_story_without_a_viewer(bad, tmp_path):
    suite, result, _ = bad
    story = {**result["divergences"][0], "tape": str(tmp_path / "gone.json")}
    told = {**result, "divergences": [story]}
    page = write_report(suite, told, tmp_path / "a.html", num_samples=0).read_text()
    assert "Its tape is no longer at" in page
    assert story["command"] in page
    assert 'class="viewer"' not in page


def test_an_environment_without_pictures_shows_its_fields(good, tmp_path):
    _, result, _ = good
    suite = small_suite(Blind)
    path = write_report(suite, result, tmp_path / "a.html", num_samples=1, sample_steps=3)
    assert page_data(path)["viewers"]["sample-1"]["pictures"] == [None, None]
    assert "<img" not in path.read_text()


@pytest.mark.parametrize("options", [{"num_samples": -1}, {"sample_steps": 0}])
def test_bad_options_leave_an_old_report_alone(good, tmp_path, options):
    suite, result, _ = good
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"at least"):
        write_report(suite, result, path, **options)
    assert path.read_text() == "old"


def test_a_report_that_cannot_be_made_is_told_in_one_line(good, tmp_path):
    _, result, _ = good
    path = tmp_path / "report.html"
    with pytest.raises(ReportFailed, match=r"could not be made: .*no_such_suite.*; result.json"):
        write_report_apart("no_such_suite", result, path)
    assert not path.exists()


def test_a_large_array_is_shown_by_what_differs():
    theirs = np.zeros((40, 30), np.uint8)
    ours = theirs.copy()
    ours[3, 7], ours[39, 29] = 5, 6
    assert report._texts(theirs, ours, True) == ("[3, 7] 0, [39, 29] 0", "[3, 7] 5, [39, 29] 6")
    their_text, our_text = report._texts(theirs, ours, False)
    assert their_text.startswith("uint8[40, 30] #")
    assert their_text != our_text


def test_two_floats_are_told_apart():
    value = np.float32(0.1)
    texts = report._texts(np.asarray(value), np.asarray(np.nextafter(value, np.float32(1))), True)
    assert texts == ("0.1", "0.10000001")


# -- in a browser


class Viewers(html.parser.HTMLParser):
    """What a page shows: viewer id -> {step, status, apart, rows: field -> (class, texts)}."""

    def __init__(self, page):
        super().__init__()
        self.viewers, self.viewer, self.row, self.cell = {}, None, None, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        classes = (attributes.get("class") or "").split()
        if tag == "section":
            self.viewer = None
            if "viewer" in classes:
                self.viewer = {"apart": "apart" in classes, "rows": {}, "images": [], "status": ""}
                self.viewer["step"] = attributes.get("data-step")
                self.viewers[attributes["id"]] = self.viewer
        elif self.viewer is None:
            return
        elif tag == "tr" and "data-field" in attributes:
            self.row = (classes, [])
            self.viewer["rows"][attributes["data-field"]] = self.row
        elif tag == "td" and self.row is not None:
            self.row[1].append("")
            self.cell = self.row[1]
        elif tag == "img":
            self.viewer["images"].append((attributes["src"], attributes["alt"]))
        elif tag == "p" and "status" in classes:
            self.cell = [""]
            self.viewer["status"] = self.cell

    def handle_endtag(self, tag):
        if tag in ("td", "p"):
            self.cell = None
        elif tag == "tr":
            self.row = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[-1] += data


@pytest.fixture
def browse(chromium, tmp_path):
    """browse(path, fragment, script) -> what the page shows after its scripts ran."""

    def run(path, fragment="", script=""):
        page = tmp_path / "page.html"
        text = path.read_text()
        assert "</body>" in text
        page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000"]
        command += [
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri() + fragment,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return Viewers(done.stdout).viewers

    return run


@pytest.mark.browser
def test_the_address_names_a_step(good, browse):
    _, _, path = good
    shown = browse(path, "#step=17")["sample-1"]
    assert shown["step"] == "17"
    assert f"After step 17 of {STEPS}" in shown["status"][0]
    assert "all fields agree" in shown["status"][0]
    assert not shown["apart"]
    assert shown["rows"]["ball_x"] == (["moved"], ["270.0", "270.0"])
    assert shown["rows"]["tick"][1] == ["17", "17"]
    data = page_data(path)
    picture = data["pictures"][data["viewers"]["sample-1"]["pictures"][0][17]]
    assert shown["images"] == [
        (picture, f"Reference, after step 17 of {STEPS}"),
        (picture, f"Ours, after step 17 of {STEPS}"),
    ]


@pytest.mark.browser
def test_a_divergence_opens_where_it_differs_and_marks_the_fields(bad, browse):
    _, result, path = bad
    story = result["divergences"][0]
    shown = browse(path)["divergence-1"]
    assert shown["step"] == str(len(story["actions"]))
    assert shown["apart"]
    marked = {name for name, (classes, _) in shown["rows"].items() if "differs" in classes}
    assert marked == set(story["differences"])
    assert f"{len(marked)} fields differ" in shown["status"][0]
    for name, texts in story["differences"].items():
        values = [np.fromstring(text.strip("[]"), sep=" ") for text in shown["rows"][name][1]]
        told = [np.fromstring(text.strip("[]"), sep=" ") for text in texts]
        np.testing.assert_array_equal(values, told)
        assert (values[0] != values[1]).any()


@pytest.mark.browser
def test_before_a_difference_nothing_is_marked(bad, browse):
    _, _, path = bad
    first = page_data(path)["viewers"]["sample-1"]["different"][0]
    shown = browse(path, f"#viewer=sample-1&step={first}")["sample-1"]
    assert shown["step"] == str(first)
    assert not shown["apart"]
    assert not any("differs" in classes for classes, _ in shown["rows"].values())


PRESS = """
const viewer = document.getElementById("sample-1");
const press = (key) => viewer.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const click = (what) => viewer.querySelector(`[data-do=${what}]`).click();
viewer.dispatchEvent(new Event("pointerdown"));
"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("script", "step"),
    [
        ("click('next'); click('next'); click('previous')", 4),
        ("press('ArrowRight')", 4),
        ("press('ArrowLeft')", 2),
        ("press('End'); press('ArrowRight')", STEPS),
        ("press('Home'); press('ArrowLeft')", 0),
        ("click('play')", STEPS),
        ("press(' '); press(' ')", 3),
        (
            "const s = viewer.querySelector('input'); s.value = 21;"
            "s.dispatchEvent(new Event('input'))",
            21,
        ),
        ("location.hash = '#viewer=sample-1&step=9'", 9),
        ("location.hash = '#viewer=sample-1&step=999'", STEPS),
    ],
)
def test_buttons_keys_and_slider_step(good, browse, script, step):
    shown = browse(good[2], "#step=3", PRESS + script)
    assert shown["sample-1"]["step"] == str(step)


@pytest.mark.browser
@pytest.mark.parametrize("script", ["click('difference')", "press('d')"])
def test_next_difference_goes_to_it_and_wraps_around(bad, browse, script):
    path = bad[2]
    different = page_data(path)["viewers"]["sample-1"]["different"]
    address = "#viewer=sample-1&step={}"
    shown = browse(path, address.format(0), PRESS + script)["sample-1"]
    assert shown["step"] == str(different[0] + 1)
    shown = browse(path, address.format(STEPS), PRESS + script)["sample-1"]
    assert shown["step"] == str(different[0] + 1)
