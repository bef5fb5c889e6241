"""Logs in Showdown's protocol, told: every line has its words, and Pokemon stand as they say."""

import pytest

from simlift.references.pokemon.story import TIE, Story, read_log

BEGINNING = [
    "|gametype|singles",
    "|player|p1|Ann||",
    "|player|p2|Bob||",
    "|gen|1",
    "|tier|[Gen 1] OU",
    "|rule|Freeze Clause Mod: Limit one foe frozen",
    "|",
    "|teamsize|p1|6",
    "|teamsize|p2|2",
    "|start",
    "|switch|p1a: Pidgeot|Pidgeot, L76|282/282",
    "|switch|p2a: Mr. Mime|Mr. Mime|237/237",
    "|turn|1",
]


def told(*lines: str) -> Story:
    return read_log([*BEGINNING, *lines])


def test_the_beginning_names_players_and_pokemon() -> None:
    story = told()
    assert (story.tier, story.players) == ("[Gen 1] OU", ("Ann", "Bob"))
    start, first = story.turns
    assert (start.number, first.number) == (0, 1)
    assert [message.text for message in start.messages] == [
        "Ann sends out Pidgeot (282/282)",
        "Bob sends out Mr. Mime (237/237)",
    ]
    ours, theirs = first.sides
    assert (ours.size, theirs.size) == (6, 2)
    assert ours.active and ours.active.level == 76
    assert theirs.active and theirs.active.level == 100
    assert (story.winner, story.ending) == (None, "undecided in turn 1")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("|move|p1a: Pidgeot|Fly|p2a: Mr. Mime|[miss]", "Ann's Pidgeot used Fly"),
        ("|move|p1a: Pidgeot|Fly|p2a: Mr. Mime|[from] Fly", "Ann's Pidgeot used Fly"),
        (
            "|move|p1a: Pidgeot|Surf|p2a: Mr. Mime|[from] Metronome",
            "Ann's Pidgeot used Surf through Metronome",
        ),
        ("|-damage|p2a: Mr. Mime|158/237 par", "Bob's Mr. Mime lost 33% (158 of 237)"),
        ("|-damage|p2a: Mr. Mime|0 fnt", "Bob's Mr. Mime lost 100% (0 of 237)"),
        (
            "|-damage|p1a: Pidgeot|235/282 brn|[from] brn|[of] p2a: Mr. Mime",
            "Ann's Pidgeot lost 17% by its burn (235 of 282)",
        ),
        ("|cant|p1a: Pidgeot|slp", "Ann's Pidgeot is fast asleep"),
        ("|cant|p1a: Pidgeot|Disable|Fly", "Ann's Pidgeot's Fly is disabled"),
        ("|cant|p1a: Pidgeot|truant", "Ann's Pidgeot cannot move (truant)"),
        ("|-status|p1a: Pidgeot|slp|[from] move: Rest", "Ann's Pidgeot fell asleep"),
        ("|-boost|p1a: Pidgeot|spa|2", "Ann's Pidgeot's Special Attack rose by 2"),
        ("|-start|p1a: Pidgeot|move: Leech Seed", "Ann's Pidgeot was seeded"),
        (
            "|-start|p1a: Pidgeot|typechange|Water|[from] move: Conversion|[of] p2a: Mr. Mime",
            "Ann's Pidgeot became of type Water",
        ),
        ("|-fail|p1a: Pidgeot|par", "but it failed"),
        ("|-fail|p1a: Pidgeot|move: Substitute", "Ann's Pidgeot already has a substitute"),
        (
            "|-fail|p1a: Pidgeot|move: Substitute|[weak]",
            "Ann's Pidgeot is too weak for a substitute",
        ),
        ("|-fieldactivate|move: Pay Day", "coins are scattered everywhere"),
        ("|-transform|p1a: Pidgeot|p2a: Mr. Mime", "Ann's Pidgeot transformed into Bob's Mr. Mime"),
        ("|-hint|In Gen 1, [this] happens.", "In Gen 1, [this] happens."),
        ("|-weather|RainDance|[upkeep]", "weather RainDance"),
    ],
)
def test_lines_have_words(line: str, text: str) -> None:
    (message,) = told(line).turns[-1].messages
    assert message.text == text


def test_what_is_silent_changes_pokemon_without_a_word() -> None:
    story = told("|-status|p1a: Pidgeot|slp", "|-heal|p1a: Pidgeot|282/282 slp|[silent]")
    pokemon = story.turns[-1].sides[0].active
    assert pokemon and pokemon.health == "282/282 slp"
    assert [message.kind for message in story.turns[-1].messages] == ["-status"]
    cured = told("|-status|p1a: Pidgeot|par", "|-curestatus|p1a: Pidgeot|par|[silent]")
    pokemon = cured.turns[-1].sides[0].active
    assert pokemon and pokemon.health == "282/282"


def test_a_turn_ends_with_whoever_is_in_and_all_that_were_seen() -> None:
    story = told(
        "|-damage|p1a: Pidgeot|100/282",
        "|faint|p1a: Pidgeot",  # of its own Explosion, without damage
        "|switch|p1a: Horsea|Horsea, L90|247/247",
        "|turn|2",
        "|faint|p2a: Mr. Mime",
        "|win|Ann",
    )
    side = story.turns[1].sides[0]
    assert [(pokemon.name, pokemon.health) for pokemon in side.seen] == [
        ("Pidgeot", "fainted"),
        ("Horsea", "247/247"),
    ]
    assert side.active == side.seen[1]
    assert story.turns[1].sides[1].active != story.turns[2].sides[1].active
    assert (story.winner, story.ending) == (0, "Ann won after 2 turns")


def test_a_tie_is_told() -> None:
    story = told("|tie")
    assert (story.winner, story.ending) == (TIE, "tie after 1 turn")
    assert story.turns[-1].messages[-1].text == "the battle ends in a tie"
