"""A reader of Showdown's log: what both players know of each other."""

import re
from collections.abc import Sequence

TRAPS = ("Wrap", "Bind", "Clamp", "Fire Spin")
THRASHES = ("Thrash", "Petal Dance")
NAMED = {
    "Reflect": "reflect",
    "Light Screen": "light_screen",
    "Mist": "mist",
    "Focus Energy": "focused",
    "Leech Seed": "seeded",
    "Substitute": "substitute",
    "Bide": "biding",
    "confusion": "confusion",
}
"""Volatiles by what the log calls them."""


class Reader:
    """What both players know who read the log of each other's teams: Pokemon by name, announced
    moves, percent and status; of those that fight, their volatiles, by `observe.VOLATILES`, Toxic's
    counter and what Disable named."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.moves: list[dict[str, set[str]]] = [{}, {}]
        self.condition: list[dict[str, str]] = [{}, {}]
        self.volatiles: list[set[str]] = [set(), set()]
        self.active, self.disabled, self.mimics = ["", ""], ["", ""], ["", ""]
        self.toxic = [0, 0]
        self.wraps = [0, 0]  # turns for which one has trapped the other
        self.rages_first = False
        secret = False
        for line in lines:
            if not secret:
                self.read(line.split("|")[1:])
            # The line after |split| is its owner's alone.
            secret = line.startswith("|split|")

    def leaves(self, player: int) -> None:
        self.volatiles[player], self.toxic[player] = set(), 0
        self.disabled[player] = self.mimics[player] = ""
        self.wraps = [0, 0]

    def read(self, words: Sequence[str]) -> None:
        kind, *words = words or [""]
        if not words or not re.match(r"p[12]a: ", words[0]):
            return
        player, name = int(words[0][1]) - 1, words[0][5:]
        has = self.volatiles[player]
        what = words[1].removeprefix("move: ") if len(words) > 1 else ""
        source = "".join(word[7:] for word in words if word.startswith("[from] "))
        match kind:
            case "switch":
                self.active[player] = name
                self.leaves(player)
                self.moves[player].setdefault(name, set())
                # Bad poison is plain poison from here on.
                self.condition[player][name] = words[2].replace("tox", "psn")
            case "move":
                self.moved(player, name, what, source, "[miss]" in words)
            case "cant":
                if what in ("recharge", "flinch"):
                    has -= {"recharge"}
                if what in ("par", "Disable"):
                    has -= {"charging"}
                if what == "par":
                    self.stops(player)
            case "-miss" | "-immune":
                user = player if kind == "-miss" else 1 - player
                self.wraps[user] = 0
                self.volatiles[user] -= {"raging"} if self.rages_first else set()
            case "-prepare":
                has |= {"charging"} | ({"hidden"} if what in ("Dig", "Fly") else set())
            case "-mustrecharge":
                has.add("recharge")
            case "-damage" | "-heal":
                self.condition[player][name] = what
                if source in ("psn", "brn", "Leech Seed") and self.toxic[player]:
                    self.toxic[player] += 1
                if source == "confusion":
                    has -= {"charging", "hidden"}
                    self.stops(player)
            case "-status":
                percent = self.condition[player][name].split()[0]
                self.condition[player][name] = f"{percent} {what}"
                self.toxic[player] = 1 if what == "tox" else self.toxic[player]
                has -= {"recharge"} if what == "slp" else set()
            case "-curestatus":
                self.condition[player][name] = self.condition[player][name].split()[0]
            case "faint":
                self.condition[player][name] = "0 fnt"
                self.leaves(player)
            case "-transform":
                has.add("transformed")
            case "-start" if what == "Disable":
                self.disabled[player] = words[2]
            case "-start" if what == "Mimic":
                self.mimics[player] = words[2]
            case "-start" if what in NAMED:
                has.add(NAMED[what])
                has -= {"thrashing"} if "[silent]" in words else set()
            case "-end" if what == "Disable":
                self.disabled[player] = ""
            case "-end" if what == "Toxic counter":
                self.toxic[player] = 0
            case "-end" if what in NAMED:
                has.discard(NAMED[what])

    def moved(self, player: int, name: str, move: str, source: str, missed: bool) -> None:
        has = self.volatiles[player]
        if not ({"transformed"} & has or source or move == self.mimics[player]):
            self.moves[player][name].add(move)
        # Whose charging was cut short stays out of reach until it strikes like that again.
        has -= {"charging", "hidden"} if "charging" in has else set()
        self.volatiles[1 - player] -= {"recharge"} if move in TRAPS else set()
        self.wraps[1 - player] = 0
        goes_on = source == move
        traps = move in TRAPS and not missed
        self.wraps[player] = (self.wraps[player] * goes_on + 1) * traps
        self.rages_first = move == "Rage" and "raging" not in has
        has |= {"raging"} if move == "Rage" and not missed else set()
        has |= {"thrashing"} if move in THRASHES else set()

    def stops(self, player: int) -> None:
        self.volatiles[player] -= {"biding", "thrashing"}
        self.wraps[player] = 0
