// A gambler stakes 0..3 coins a round on a biased toss, until ruin, the goal, or closing time.
import { Dice, Refusal, serve } from "./protocol.mjs";

const GOAL = 10;
const CLOSING = 30; // rounds
const STAKES = [0, 1, 2, 3];
const WIN_PERCENT = 48;
const MASK64 = (1n << 64n) - 1n;

const dice = new Dice();

class Gambler {
  reset(seed) {
    this.generator = seed % 2 ** 32;
    this.fingerprint = 0xcbf29ce484222325n; // of all draws of the episode: FNV-1a, 64 bits
    this.purse = 3 + this.draw("purse", 5);
    this.round = 0;
    this.luck = 0.5; // running mean of wins
    return this.outcome(0);
  }

  step(action) {
    const stake = STAKES[action];
    if (!this.legal()[action])
      throw new Refusal("action", `cannot stake ${stake} of ${this.purse}`);
    const before = this.purse;
    const won = stake > 0 && this.draw("toss", 100) < WIN_PERCENT;
    if (won) this.purse += this.draw("payout", stake) + 1; // up to the stake
    else this.purse -= stake;
    this.luck += (Number(won) - this.luck) / 3;
    this.round += 1;
    return this.outcome(this.purse - before);
  }

  legal() {
    return STAKES.map((stake) => stake <= this.purse && this.purse + stake <= GOAL);
  }

  outcome(reward) {
    return {
      observation: [this.purse / GOAL, this.round / CLOSING, this.luck],
      reward,
      terminated: this.purse === 0 || this.purse === GOAL,
      truncated: this.round >= CLOSING,
      legal: this.legal(),
    };
  }

  draw(site, bound) {
    const value = dice.draw(site, bound, (bound) => {
      this.generator = (Math.imul(this.generator, 1664525) + 1013904223) >>> 0;
      return Math.floor((this.generator / 2 ** 32) * bound);
    });
    this.fingerprint = ((this.fingerprint ^ BigInt(value)) * 0x100000001b3n) & MASK64;
    return value;
  }

  snapshot() {
    const { purse, round, luck, generator, fingerprint } = this;
    return { purse, round, luck, generator, fingerprint: String(fingerprint) };
  }

  restore(snapshot) {
    Object.assign(this, snapshot, { fingerprint: BigInt(snapshot.fingerprint) });
  }
}

const about = {
  name: "gambler",
  version: "1.0.0",
  observation: { shape: [3], dtype: "float32" },
  action: { n: STAKES.length },
  draw_sites: { purse: 5, toss: 100, payout: Math.max(...STAKES) },
  snapshot_fields: {
    purse: "int32",
    round: "int32",
    luck: "float64",
    generator: "uint32",
    fingerprint: "uint64",
  },
  forcing: true,
};

serve(about, new Gambler(), dice);
