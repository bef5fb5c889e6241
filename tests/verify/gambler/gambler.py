"""A gambler stakes 0 .. 3 coins a round on a biased toss, until ruin, the goal, or closing time.

A program in the line protocol, as a reference and, with a fault planted, as a candidate.
"""

import json
import sys

GOAL = 10
CLOSING = 30  # rounds
WIN_PERCENT = 48
MASK64 = 2**64 - 1
FIELDS = {
    "purse": "int32",
    "round": "int32",
    "luck": "float64",
    "generator": "uint32",
    "fingerprint": "uint64",
}
ABOUT = {
    "protocol": 1,
    "name": "gambler",
    "version": "1.0.0",
    "observation": {"shape": [3], "dtype": "float32"},
    "action": {"n": 4},
    "draw_sites": {"purse": 5, "toss": 100, "payout": 3},
    "snapshot_fields": FIELDS,
    "forcing": True,
}


class Refusal(Exception):
    def __init__(self, kind, message, site=None):
        super().__init__(message)
        self.answer = {"kind": kind, "message": message, "site": site}


class Gambler:
    purse = round = generator = fingerprint = 0
    luck = 0.5

    def reset(self, seed):
        self.generator = seed % 2**32
        self.fingerprint = 0xCBF29CE484222325  # of all draws of the episode: FNV-1a
        self.purse = 3 + self.draw("purse", 5)
        self.round = 0
        self.luck = 0.5  # running mean of wins
        return self.outcome(0)

    def step(self, action):
        if not (0 <= action < 4 and self.legal()[action]):
            raise Refusal("action", f"cannot stake {action} of {self.purse}")
        before = self.purse
        won = action > 0 and self.draw("toss", 100) < WIN_PERCENT
        if won:
            self.purse += self.draw("payout", action) + 1  # up to the stake
        else:
            self.purse -= action
        self.luck += (won - self.luck) / 3
        self.round += 1
        return self.outcome(self.purse - before)

    def legal(self):
        return [stake <= self.purse and self.purse + stake <= GOAL for stake in range(4)]

    def outcome(self, reward):
        return {
            "observation": [self.purse / GOAL, self.round / CLOSING, self.luck],
            "reward": reward,
            "terminated": self.purse in (0, GOAL),
            "truncated": self.round >= CLOSING,
            "legal": self.legal(),
        }

    def draw(self, site, bound):
        if self.tape is None:
            self.generator = (self.generator * 1664525 + 1013904223) % 2**32
            value = self.generator * bound >> 32
        elif len(self.log) == len(self.tape):
            raise Refusal("tape", "the tape ends before this draw", site)
        elif self.tape[len(self.log)][:2] != [site, bound]:
            raise Refusal("tape", f"wants a draw below {bound}, the tape holds another", site)
        else:
            value = self.tape[len(self.log)][2]
        self.log.append([site, bound, value])
        self.fingerprint = (self.fingerprint ^ value) * 0x100000001B3 & MASK64
        return value

    def answer(self, verb, tape=None, **given):
        self.tape, self.log = tape, []
        if verb == "hello":
            return ABOUT
        if verb == "snapshot":
            snapshot = {name: getattr(self, name) for name in FIELDS}
            return {"snapshot": {**snapshot, "fingerprint": str(self.fingerprint)}}
        if verb == "restore":
            vars(self).update(given["snapshot"])
            self.fingerprint = int(self.fingerprint)
            return {}
        shown = self.reset(given["seed"]) if verb == "reset" else self.step(given["action"])
        return {**shown, "draws": self.log}


def serve(gambler):
    for line in sys.stdin:
        request = json.loads(line)
        number = request.pop("id")
        try:
            answer = gambler.answer(**request)
        except Refusal as refusal:
            answer = {"error": refusal.answer}
        sys.stdout.write(json.dumps({"id": number, **answer}) + "\n")
        sys.stdout.flush()


serve(Gambler())
