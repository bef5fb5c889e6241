"""Pokemon Showdown's `Battle`, unmodified, in a batch that several processes of Node.js share."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import DrawLog, Outcome, SingleReference, Snapshot, TapeError, VectorReference
from ..vector import EPISODE_SEED, instance_seed, next_seed
from .bridge import Bridge, decode, encode, fields_of, pack, unpack
from .install import PACKAGE, VERSION
from .teams import FORMAT, NUM_MOVES, TEAM_SIZE, Teams

NUM_PLAYERS = 2
NUM_ACTIONS = NUM_MOVES + TEAM_SIZE
NOTHING = -1
WORD = 2**32
TEAM_INDEX = "team_index"
SITES = (
    *("full_paralysis", "sleep_turns", "confusion_turns", "confusion_self_hit", "trapping_turns"),
    *("thrash_turns", "bide_turns", "disable_slot", "disable_turns", "metronome", "mimic"),
    *("psywave", "substitute_confusion", "accuracy", "multi_hit", "secondary", "critical_hit"),
    *("damage_roll", "tie_switch_in", "tie_queue_insert", "tie_queue", "tie_each_event"),
    *("tie_field_event", "tie_run_event"),
)
"""Every place that draws in generation 1; dice.mjs has file and line of each."""
SEED, TEAM = "seed", "team"
START_SITES = (SEED, TEAM)
"""What the start of a battle draws besides, twice each: the words of its generator, high word
first, and for each player which of the given teams."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowdownDraws(DrawLog):
    """Draws with their ranges. `value` is the raw word, below 2**32; what Showdown made of it is
    `low + value * (high - low) // 2**32`.

    low, high: int64 [B, K]. Where they are given to `force`, they are checked as the site is.
    """

    low: np.ndarray
    high: np.ndarray


class VectorShowdown(VectorReference):
    """A batch of battles between two players. Actions: int [B, 2].

    0..3 is a move, by its place in the request: a request with one entry (Fight, Struggle,
    Recharge, a move that is locked in) has only 0. 4..9 switches to the Pokemon in that slot of the
    team as the battle began, whatever the order now. -1 is the action of a player who has nothing
    to choose, and of nobody else. `Outcome.legal`, bool [B, 2, 10], is what the requests allow.

    `Outcome.observation`, uint8 [B, 2], is the kind of request: 0 none, 1 a move or switch, 2 a
    forced switch. Rewards are [B, 2]: 1, -1, or 0. Turn limit and Endless Battle Clause are rules
    and end a battle as Showdown has it, in a tie, terminated. A battle that ended is followed by
    the next in the same call, as in `SerialVector`; `final_snapshot` has its end.

    format: of Showdown, generation 1 and with one active Pokemon a side; teams: where the battles'
    teams are drawn from, and Showdown generates them where it is None, which formats without random
    teams refuse; processes: one a core, by default; log: keep the protocol's log, for `log`, which
    costs speed.
    Raises ReferenceUnavailable, and ValueError for a format that is none of these.
    """

    name = PACKAGE
    version = VERSION
    draw_sites = SITES + START_SITES
    draw_bounds = (WORD,) * len(draw_sites)

    def __init__(
        self,
        num_envs: int,
        *,
        format: str = FORMAT,
        teams: Teams | None = None,
        processes: int | None = None,
        log: bool = False,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; a batch has at least one instance")
        count = min(num_envs, processes or os.cpu_count() or 1)
        ends = [num_envs * (i + 1) // count for i in range(count)]
        self.num_envs = num_envs
        self._teams = teams
        self._shares = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self._bridges: list[Bridge] = []
        try:
            for share in self._shares:
                size = share.stop - share.start
                self._bridges.append(Bridge(format, size, log=log))
            for bridge in self._bridges:
                bridge.start()
        except BaseException:
            self.close()
            raise
        hello = self._bridges[0].hello
        if teams is None and not hello["generates"]:
            self.close()
            raise ValueError(f"{format} has no teams of its own; give teams=")
        if tuple(hello["sites"]) != SITES:
            raise AssertionError("dice.mjs and SITES differ")
        self._fields = fields_of(hello)
        self._seeds = np.zeros(num_envs, np.uint64)
        self._team = np.full((num_envs, NUM_PLAYERS), -1, np.int32)
        self._final_team = self._team
        self._begun = False
        self._legal = np.zeros((num_envs, NUM_PLAYERS, NUM_ACTIONS), bool)
        self._request = np.zeros((num_envs, NUM_PLAYERS), np.uint8)
        self._winner = np.full(num_envs, -1, np.int8)
        self._step_draws = [np.zeros((0, 4))] * num_envs
        self._reset_draws = [np.zeros((0, 4))] * num_envs
        self._tape: DrawLog | None = None

    # -- the verbs

    def reset(self, seed: int) -> Outcome:
        """Start a battle in every instance; instance i with `instance_seed(seed, i)`."""
        self._begun = True
        self._seeds[:] = [instance_seed(seed, i) for i in range(self.num_envs)]
        self._step_draws = [np.zeros((0, 4))] * self.num_envs
        self._start(np.arange(self.num_envs), self._take_tapes())
        self._final_team = self._team
        return self._outcome(np.full(self.num_envs, -1, np.int8))

    def step(self, actions: np.ndarray) -> Outcome:
        """Both players choose, in every battle. Raises ValueError for an action that the mask does
        not allow; nothing has then happened."""
        actions = self._checked(actions)
        tapes = self._take_tapes()
        self._reset_draws = [np.zeros((0, 4))] * self.num_envs
        given: list[dict[str, Any]] = [
            {"actions": actions[share].tolist(), "tapes": tapes and tapes[share]}
            for share in self._shares
        ]
        self._step_draws = self._hear("step", given, np.arange(self.num_envs))
        winner = self._winner.copy()
        ended = np.flatnonzero(winner >= 0)
        if tapes is not None:
            tapes = [t[len(d) :] for t, d in zip(tapes, self._step_draws, strict=True)]
            for i in np.flatnonzero(winner < 0):
                self._check_consumed(int(i), tapes[i])
        self._seeds[ended] = [next_seed(int(seed)) for seed in self._seeds[ended]]
        self._final_team = self._team.copy()
        self._start(ended, tapes)
        return self._outcome(winner)

    def draws(self) -> ShowdownDraws:
        """The draws of the battles' generators in the last `reset` or `step`; `step_count` says
        where those of the next battle's start begin, the first of which are START_SITES. What
        Showdown draws to generate teams is not among them."""
        pairs = zip(self._step_draws, self._reset_draws, strict=True)
        rows = [np.concatenate(pair) for pair in pairs]
        table = np.zeros((self.num_envs, max(map(len, rows)), 4), np.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return ShowdownDraws(
            count=np.array([len(row) for row in rows], np.int32),
            step_count=np.array([len(row) for row in self._step_draws], np.int32),
            site=table[..., 0].astype(np.int16),
            low=table[..., 1],
            high=table[..., 2],
            value=table[..., 3],
        )

    def force(self, draws: DrawLog) -> None:
        """Feed these raw words to the next `reset` or `step`, whose generators advance all the
        same. TapeError unless each is wanted at its site; go on from there with `reset` or
        `restore`. To set a generator's state instead, `restore` with another `seed`; what stands
        at START_SITES is passed over."""
        if draws.count.shape != (self.num_envs,):
            raise ValueError(
                f"{self.name}: count is {draws.count.shape}, expected ({self.num_envs},)"
            )
        self._tape = draws

    def snapshot(self) -> dict[str, np.ndarray]:
        """The state of every battle, [B, ...]: the fields of README.md, team_index, episode_seed.
        A batch that was never reset begins with seed 0."""
        return self._read(final=False)

    def final_snapshot(self) -> dict[str, np.ndarray]:
        """As `snapshot`, but of battles that the last step ended, their end; episode_seed is that
        of the battle that goes on."""
        return self._read(final=True)

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives."""
        own = (TEAM_INDEX, EPISODE_SEED)
        numbers = {name: value for name, value in snapshot.items() if name not in own}
        values = pack(self._fields, numbers)
        if len(values) != self.num_envs or not snapshot.keys() >= {*own}:
            raise ValueError(
                f"{self.name}: the snapshot is of {len(values)} battles, expected {self.num_envs} "
                f"and {', '.join(own)}"
            )
        self._begun = True
        self._seeds[:] = snapshot[EPISODE_SEED]
        self._team[:] = snapshot[TEAM_INDEX]
        given = [{"values": encode(values[share])} for share in self._shares]
        self._step_draws = self._hear("restore", given, np.arange(self.num_envs))
        self._reset_draws = [np.zeros((0, 4))] * self.num_envs

    def legal(self) -> np.ndarray:
        """The mask now, bool [B, 2, 10]; after `restore`, too."""
        return self._legal.copy()

    def log(self, index: int, *, final: bool = False) -> list[str]:
        """The protocol's log of a battle so far; final: of the one that the last step ended."""
        which = next(i for i, share in enumerate(self._shares) if index < share.stop)
        local = index - self._shares[which].start
        lines: list[str] = self._bridges[which].call("log", index=local, final=final)["lines"]
        return lines

    def close(self) -> None:
        for bridge in self._bridges:
            bridge.close()

    # -- the halves of the verbs

    def _start(self, at: np.ndarray, tapes: list[list[list[Any]]] | None) -> None:
        """New battles at these indices, of their seeds."""
        given: list[dict[str, Any]] = []
        for share in self._shares:
            mine = at[(at >= share.start) & (at < share.stop)].tolist()
            words = [_words(int(self._seeds[i])) for i in mine]
            request: dict[str, Any] = {
                "at": [i - share.start for i in mine],
                "seeds": [[int(word) for word in w[:2]] for w in words],
                "tapes": None if tapes is None else [tapes[i] for i in mine],
            }
            if self._teams is None:
                request["teamSeeds"] = [
                    [f"gen5,{w[2]:08x}{w[3]:08x}", f"gen5,{w[4]:08x}{w[5]:08x}"] for w in words
                ]
            else:
                self._team[mine] = [
                    [int(word) * len(self._teams) // WORD for word in w[2:4]] for w in words
                ] or np.zeros((0, NUM_PLAYERS), np.int32)
                request["teams"] = [
                    [self._teams.rows(index) for index in pair] for pair in self._team[mine]
                ]
            given.append(request)
        drawn = self._hear("reset", given, at)
        self._reset_draws = [np.zeros((0, 4))] * self.num_envs
        for i, rows in zip(at.tolist(), drawn, strict=True):
            self._reset_draws[i] = np.concatenate([self._start_draws(i), rows])
            if tapes is not None:
                self._check_consumed(i, tapes[i][len(rows) :])

    def _start_draws(self, index: int) -> np.ndarray:
        """The rows of START_SITES of the battle that starts here."""
        words = _words(int(self._seeds[index]))[:2]
        rows = [[len(SITES), 0, WORD, word] for word in words]
        if self._teams is not None:
            rows += [[len(SITES) + 1, 0, len(self._teams), team] for team in self._team[index]]
        return np.array(rows, np.float64)

    def _hear(self, verb: str, given: Sequence[dict[str, Any]], at: np.ndarray) -> list[np.ndarray]:
        """Ask all processes, then hear all, and keep what the battles at these indices show.
        Returns their draws, float64 [n, 4]."""
        answers = self._ask(verb, given)
        legal = np.concatenate([decode(answer["legal"], "u1") for answer in answers])
        request = np.concatenate([decode(answer["request"], "u1") for answer in answers])
        draws = np.concatenate([decode(answer["draws"], "f8") for answer in answers])
        counts = [count for answer in answers for count in answer["counts"]]
        self._legal[at] = legal.reshape(-1, NUM_PLAYERS, NUM_ACTIONS)
        self._request[at] = request.reshape(-1, NUM_PLAYERS)
        self._winner[at] = np.concatenate([decode(answer["winner"], "i1") for answer in answers])
        return np.split(draws.reshape(-1, 4), np.cumsum(counts))[:-1]

    def _ask(self, verb: str, given: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        answers, errors, asked = [], [], []
        for bridge, arguments in zip(self._bridges, given, strict=True):
            try:
                bridge.send(verb, **arguments)
                asked.append(bridge)
            except Exception as error:  # the others still take their turn, so that none lags
                errors.append(error)
        for bridge in asked:
            try:
                answers.append(bridge.receive())
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return answers

    def _read(self, *, final: bool) -> dict[str, np.ndarray]:
        if not self._begun:
            self.reset(0)
        answers = self._ask("snapshot", [{"final": final}] * len(self._bridges))
        values = np.concatenate([decode(answer["values"], "i4") for answer in answers])
        fields = unpack(self._fields, values.reshape(self.num_envs, -1))
        team = (self._final_team if final else self._team).copy()
        return {**fields, TEAM_INDEX: team, EPISODE_SEED: self._seeds.copy()}

    def _outcome(self, winner: np.ndarray) -> Outcome:
        """winner: of the battles before those that go on, -1 where it is the same."""
        terminated = winner >= 0
        reward = np.zeros((self.num_envs, NUM_PLAYERS), np.float32)
        for player in range(NUM_PLAYERS):
            reward[winner == player] = -1
            reward[winner == player, player] = 1
        return Outcome(
            observation=self._request.copy(),
            reward=reward,
            terminated=terminated,
            truncated=np.zeros(self.num_envs, bool),
            legal=self._legal.copy(),
            final_observation=np.where(terminated[:, None], np.uint8(0), self._request),
        )

    # -- checks

    def _checked(self, actions: Any) -> np.ndarray:
        actions = np.asarray(actions)
        shape = (self.num_envs, NUM_PLAYERS)
        if actions.shape != shape or actions.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: actions are {actions.dtype}{list(actions.shape)}, expected "
                f"int{list(shape)}"
            )
        inside = (actions >= 0) & (actions < NUM_ACTIONS)
        index = np.where(inside, actions, 0)[..., None]
        allowed = inside & np.take_along_axis(self._legal, index, 2)[..., 0]
        allowed |= (actions == NOTHING) & (self._request == 0)
        if not allowed.all():
            i, player = np.argwhere(~allowed)[0].tolist()
            legal = np.flatnonzero(self._legal[i, player]).tolist() or [NOTHING]
            raise ValueError(
                f"{self.name}: action {actions[i, player]} of player {player} in battle {i} is "
                f"illegal now; legal are {legal}"
            )
        return actions

    def _take_tapes(self) -> list[list[list[Any]]] | None:
        """Of each battle the forced draws: site, low, high, raw; None where nothing is forced."""
        log, self._tape = self._tape, None
        if log is None:
            return None
        nothing = np.full(log.site.shape, None)
        low, high = (log.low, log.high) if isinstance(log, ShowdownDraws) else (nothing, nothing)
        columns = np.stack([np.asarray(c, object) for c in (log.site, low, high, log.value)], -1)
        rows = [rows[:count].tolist() for rows, count in zip(columns, log.count, strict=True)]
        return [[row for row in tape if row[0] < len(SITES)] for tape in rows]

    def _check_consumed(self, index: int, left: list[list[Any]]) -> None:
        if left:
            raise TapeError(
                f"{self.name}: the draw at site {SITES[left[0][0]]!r} of battle {index} was not "
                "consumed"
            )


def _words(seed: int) -> np.ndarray:
    """What an episode's seed stands for, uint32 [6]: the generator's 64 bits, high word first, then
    of each player's team the 64 bits of its generator; or in the third and fourth, scaled to the
    number of teams that were given, which one it is."""
    return np.random.SeedSequence(seed, spawn_key=(0,)).generate_state(6, np.uint32)


class ShowdownReference(SingleReference):
    """One battle, made with the same keywords; it starts the next one by itself."""

    name = VectorShowdown.name
    version = VectorShowdown.version
    auto_reset = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(VectorShowdown(1, **parameters))
