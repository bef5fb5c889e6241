"""A log in Showdown's protocol as turns that a person can read."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

NUM_PLAYERS = 2
TIE = 2

_STATS = {
    **{"atk": "Attack", "def": "Defense", "spa": "Special Attack", "spd": "Special Defense"},
    **{"spe": "Speed", "accuracy": "accuracy", "evasion": "evasion"},
}
_CAUSES = {
    **{"psn": "poison", "brn": "its burn", "confusion": "its confusion", "Recoil": "recoil"},
    "drain": "draining",
}
_NOT_TOLD = {
    *("", "t:", "gametype", "player", "teamsize", "gen", "tier", "rule", "start", "upkeep"),
    "turn",
}
_NOTES = {"-message", "-hint"}
_FOILED = "but it failed"
_TEXTS = {
    "cant": "{0} cannot move ({1})",
    "cant slp": "{0} is fast asleep",
    "cant par": "{0} is fully paralyzed",
    "cant frz": "{0} is frozen solid",
    "cant flinch": "{0} flinched",
    "cant recharge": "{0} must recharge",
    "cant partiallytrapped": "{0} is trapped and cannot move",
    "cant Disable": "{0}'s {2} is disabled",
    "faint": "{0} fainted",
    "-activate confusion": "{0} is confused",
    "-activate Bide": "{0} is storing energy",
    "-activate Substitute": "the substitute took the damage for {0}",
    "-activate Haze": "all changes of stats are gone",
    "-activate Mist": "{0} is protected by the mist",
    "-boost": "{0}'s {1} rose by {2}",
    "-unboost": "{0}'s {1} fell by {2}",
    "-clearallboost": "all changes of stats are gone",
    "-crit": "a critical hit",
    "-curestatus": "{0} has recovered ({1})",
    "-curestatus slp": "{0} woke up",
    "-curestatus frz": "{0} thawed out",
    "-end": "{0} is rid of {1}",
    "-end confusion": "{0} is confused no more",
    "-end Substitute": "{0}'s substitute faded",
    "-end Bide": "{0} unleashed energy",
    "-end Disable": "{0}'s move is disabled no more",
    "-fail": _FOILED,
    "-fail Substitute": "{0} already has a substitute",
    "-fail Substitute weak": "{0} is too weak for a substitute",
    "-fieldactivate Pay Day": "coins are scattered everywhere",
    "-hint": "{0}",
    "-hitcount": "hit {1} times",
    "-immune": "it does not affect {0}",
    "-message": "{0}",
    "-miss": "{0}'s attack missed",
    "-mustrecharge": "{0} must recharge",
    "-nothing": "but nothing happened",
    "-notarget": "but there was no target",
    "-ohko": "a one-hit knockout",
    "-prepare": "{0} prepares {1}",
    "-resisted": "it is not very effective",
    "-start": "{0} has {1} now",
    "-start confusion": "{0} became confused",
    "-start Substitute": "{0} made a substitute",
    "-start Leech Seed": "{0} was seeded",
    "-start Bide": "{0} is storing energy",
    "-start Focus Energy": "{0} is getting pumped",
    "-start Disable": "{0}'s {2} was disabled",
    "-start Mimic": "{0} learned {2}",
    "-start typechange": "{0} became of type {2}",
    "-status": "{0} has {1} now",
    "-status slp": "{0} fell asleep",
    "-status psn": "{0} was poisoned",
    "-status tox": "{0} was badly poisoned",
    "-status brn": "{0} was burned",
    "-status frz": "{0} was frozen solid",
    "-status par": "{0} was paralyzed",
    "-supereffective": "it is super effective",
    "-transform": "{0} transformed into {1}",
    "tie": "the battle ends in a tie",
    "win": "{0} wins the battle",
}
"""By kind of line, then effect, then tag; {0} and so on are what the line is about."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pokemon:
    """One Pokemon as it stands. status: of the protocol, such as par, "" none."""

    name: str
    level: int
    hp: int
    max_hp: int
    status: str

    @property
    def health(self) -> str:
        """For reading: `141/282 par`, or `fainted`."""
        return f"{self.hp}/{self.max_hp} {self.status}".strip() if self.hp else "fainted"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """A player's Pokemon at the end of a turn: all that came in yet, in that order."""

    seen: tuple[Pokemon, ...]
    active: Pokemon | None  # one of them
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """What happened. player: whose Pokemon it is about; kind: of the protocol."""

    text: str
    kind: str
    player: int | None

    @property
    def is_action(self) -> bool:
        """Whether it begins something; what follows from that is told below."""
        return not self.kind.startswith("-")

    @property
    def is_note(self) -> bool:
        """Whether it explains."""
        return self.kind in _NOTES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """number: 0 is what comes before the first turn."""

    number: int
    messages: tuple[Message, ...]
    sides: tuple[Side, Side]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """winner: 0 or 1, TIE, or None where the battle goes on."""

    tier: str
    players: tuple[str, str]
    turns: tuple[Turn, ...]
    winner: int | None

    @property
    def ending(self) -> str:
        """For reading, in one phrase."""
        count = self.turns[-1].number
        after = f"after {count} turn{'' if count == 1 else 's'}"
        if self.winner is None:
            return f"undecided in turn {count}"
        return f"tie {after}" if self.winner == TIE else f"{self.players[self.winner]} won {after}"


def read_log(lines: Iterable[str]) -> Story:
    """Tell a log of a battle with one active Pokemon a side, such as `protocol_log` gives it."""
    reader = _Reader()
    for text in lines:
        reader.read(_Line.of(text))
    reader.end_turn()
    return Story(
        tier=reader.tier,
        players=(reader.players[0], reader.players[1]),
        turns=tuple(reader.turns),
        winner=reader.winner,
    )


class _Line(NamedTuple):
    """A line of the protocol. player, name: the Pokemon that it begins with, if any."""

    kind: str
    words: Sequence[str]
    tags: Mapping[str, str]
    player: int | None
    name: str

    @classmethod
    def of(cls, text: str) -> Self:
        kind, *parts = text.removeprefix("|").split("|")
        words = [part for part in parts if not _TAG.fullmatch(part)]
        tags = {match[1]: match[2] for match in map(_TAG.fullmatch, parts) if match}
        about = _POKEMON.fullmatch(words[0]) if words else None
        player, name = (_index(about[1]), about[2]) if about else (None, "")
        return cls(kind, words, tags, player, name)


_TAG = re.compile(r"\[([a-z]+)\] ?(.*)")  # "[from] Recoil"
_POKEMON = re.compile(r"(p[12])a?: (.*)")  # "p1a: Pidgeot"


class _Reader:
    """What the lines up to here say."""

    def __init__(self) -> None:
        self.tier = ""
        self.players = ["p1", "p2"]
        self.winner: int | None = None
        self.turns: list[Turn] = []
        self._number, self._messages = 0, list[Message]()
        self._sizes = [0] * NUM_PLAYERS
        self._seen: list[dict[str, Pokemon]] = [{} for _ in range(NUM_PLAYERS)]
        self._active: list[str | None] = [None] * NUM_PLAYERS

    def read(self, line: _Line) -> None:
        if line.kind == "turn":
            self.end_turn()
            self._number = int(line.words[0])
        before = None if line.player is None else self._seen[line.player].get(line.name)
        self._apply(line)
        self._apply_to_pokemon(line)
        if line.kind in _NOT_TOLD or "silent" in line.tags:
            return
        text = self._told(line, before)
        self._messages.append(Message(text=text, kind=line.kind, player=line.player))

    def end_turn(self) -> None:
        first, second = (
            Side(seen=tuple(seen.values()), active=None if name is None else seen[name], size=size)
            for seen, name, size in zip(self._seen, self._active, self._sizes, strict=True)
        )
        messages, self._messages = tuple(self._messages), []
        self.turns.append(Turn(number=self._number, messages=messages, sides=(first, second)))

    # -- what a line changes

    def _apply(self, line: _Line) -> None:
        words = line.words
        match line.kind:
            case "player":
                self.players[_index(words[0])] = words[1]
            case "teamsize":
                self._sizes[_index(words[0])] = int(words[1])
            case "tier":
                self.tier = words[0]
            case "win":
                self.winner = self.players.index(words[0])
            case "tie":
                self.winner = TIE

    def _apply_to_pokemon(self, line: _Line) -> None:
        if line.player is None:
            return
        seen, name = self._seen[line.player], line.name
        match line.kind:
            case "switch":
                level = re.search(r", L(\d+)", line.words[1])
                newcomer = Pokemon(
                    name=name, level=int(level[1]) if level else 100, hp=0, max_hp=0, status=""
                )
                seen[name] = _in_condition(newcomer, line.words[2])
                self._active[line.player] = name
            case "-damage" | "-heal":
                seen[name] = _in_condition(seen[name], line.words[1])
            case "faint":  # also without damage: Explosion
                seen[name] = dataclasses.replace(seen[name], hp=0, status="")
            case "-status":
                seen[name] = dataclasses.replace(seen[name], status=line.words[1])
            case "-curestatus":
                seen[name] = dataclasses.replace(seen[name], status="")

    # -- what it says

    def _told(self, line: _Line, before: Pokemon | None) -> str:
        if line.player is None:
            return self._by_table(line)
        player, now = self.players[line.player], self._seen[line.player].get(line.name)
        whom = self._named(line.words[0])
        origin = line.tags.get("from", "").removeprefix("move: ")
        match line.kind:
            case "switch":
                assert now is not None
                return f"{player} sends out {now.name} ({now.health})"
            case "move":
                through = f" through {origin}" if origin not in ("", line.words[1]) else ""
                return f"{whom} used {line.words[1]}{through}"
            case "-damage" | "-heal":
                assert now is not None and before is not None
                verb = "lost" if line.kind == "-damage" else "regained"
                cause = f" by {_CAUSES.get(origin, origin)}" if origin else ""
                share = f"{abs(now.hp - before.hp) / now.max_hp:.0%}"
                return f"{whom} {verb} {share}{cause} ({now.hp} of {now.max_hp})"
        return self._by_table(line)

    def _by_table(self, line: _Line) -> str:
        names = [self._named(word) for word in line.words]
        effects = names if line.player is None else names[1:]
        keys = [" ".join([line.kind, *effects[:1], *tags]) for tags in ([*line.tags], [])]
        keys.append(line.kind)
        template = next((_TEXTS[key] for key in keys if key in _TEXTS), None)
        if template is None:  # of a later generation
            return " ".join([line.kind.removeprefix("-"), *names])
        return template.format(*names)

    def _named(self, word: str) -> str:
        """A word of the protocol for reading."""
        if pokemon := _POKEMON.fullmatch(word):
            return f"{self.players[_index(pokemon[1])]}'s {pokemon[2]}"
        return _STATS.get(word, word).removeprefix("move: ")


def _index(player: str) -> int:
    """Of p1 or p2."""
    return int(player.removeprefix("p")) - 1


def _in_condition(pokemon: Pokemon, condition: str) -> Pokemon:
    """condition: `141/282 par` or, of one that fainted, `0 fnt`."""
    health, _, status = condition.partition(" ")
    hp, _, max_hp = health.partition("/")
    return dataclasses.replace(
        pokemon,
        hp=int(hp),
        max_hp=int(max_hp or pokemon.max_hp),
        status="" if status == "fnt" else status,
    )
