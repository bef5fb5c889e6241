// The program's side of the line protocol. Copy this file beside a simulator and call serve().
import { createInterface } from "node:readline";

/** A request that is refused; the program goes on. kind: "action", "tape" or "snapshot". */
export class Refusal extends Error {
  constructor(kind, message, site) {
    super(message);
    this.answer = { kind, message, site };
  }
}

/** Every random number of the simulator comes from draw(): off the tape, or generated; logged. */
export class Dice {
  begin(tape) {
    this.tape = tape;
    this.log = [];
  }
  draw(site, bound, generate) {
    const forced = this.tape?.[this.log.length];
    if (this.tape && !forced) throw new Refusal("tape", "the tape ends before this draw", site);
    if (forced && (forced[0] !== site || forced[1] !== bound))
      throw new Refusal("tape", `wants a draw below ${bound}, the tape holds ${forced}`, site);
    this.log.push([site, bound, forced ? forced[2] : generate(bound)]);
    return this.log.at(-1)[2];
  }
}

export function serve(about, simulator, dice) {
  const verbs = {
    hello: () => ({ protocol: 1, ...about }),
    reset: ({ seed, tape }) => (dice.begin(tape), { ...simulator.reset(seed), draws: dice.log }),
    step: ({ action, tape }) => (dice.begin(tape), { ...simulator.step(action), draws: dice.log }),
    snapshot: () => ({ snapshot: simulator.snapshot() }),
    restore: ({ snapshot }) => (simulator.restore(snapshot), {}),
  };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { id, verb, ...given } = JSON.parse(line);
    let answer;
    try {
      answer = verbs[verb](given);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error; // a bug: end, and let standard error tell
      answer = { error: error.answer };
    }
    process.stdout.write(JSON.stringify({ id, ...answer }) + "\n");
  });
}
