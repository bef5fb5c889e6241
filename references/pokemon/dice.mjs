// Showdown's generator with every draw on record: where it was wanted, its range and the raw word.
import { dist, PRNG } from "./showdown.mjs";

/** Every place that draws in generation 1, by file and line of the pinned package. */
const SITE_AT = {
  "data/mods/gen1/conditions.js:51": "full_paralysis",
  "data/mods/gen1/conditions.js:74": "sleep_turns",
  "data/mods/gen1/conditions.js:149": "confusion_turns",
  "data/mods/gen1/conditions.js:162": "confusion_self_hit",
  "data/mods/gen1/conditions.js:241": "trapping_turns",
  "data/mods/gen1/conditions.js:304": "thrash_turns",
  "data/mods/gen1/moves.js:57": "bide_turns",
  "data/mods/gen1/moves.js:244": "disable_slot",
  "data/mods/gen1/moves.js:249": "disable_turns",
  "data/mods/gen1/moves.js:467": "metronome",
  "data/mods/gen1/moves.js:481": "mimic",
  "data/mods/gen1/moves.js:574": "psywave",
  "data/mods/gen1/moves.js:833": "substitute_confusion",
  "data/mods/gen1/scripts.js:414": "accuracy",
  "data/mods/gen1/scripts.js:426": "multi_hit",
  "data/mods/gen1/scripts.js:622": "secondary",
  "data/mods/gen1/scripts.js:694": "critical_hit",
  "data/mods/gen1/scripts.js:779": "damage_roll",
  "sim/battle-actions.js:178": "tie_switch_in",
  "sim/battle-queue.js:283": "tie_queue_insert",
  "sim/battle-queue.js:299": "tie_queue",
  "sim/battle.js:296": "tie_each_event",
  "sim/battle.js:333": "tie_field_event",
  "sim/battle.js:589": "tie_run_event",
};
export const SITES = Object.values(SITE_AT);
const INDEX_AT = new Map(Object.keys(SITE_AT).map((place, index) => [place, index]));

/** Frames between a draw and the place that wanted it. */
const BETWEEN = /sim\/prng\.js:|\.(random|randomChance|sample|speedSort) \(/;
const FRAMES = 6;
const WORD = 2 ** 32;
const SHORT_MASK = 0xffff;

/** A request that is refused; the program goes on. */
export class Refusal extends Error {
  constructor(kind, message, site) {
    super(message);
    this.answer = { kind, message, site };
  }
}

const known = new Map(); // by stack, since reading one costs more than a draw

function siteOf(stack) {
  let index = known.get(stack);
  if (index === undefined) {
    const frame = stack.split("\n").slice(1).find((line) => !BETWEEN.test(line));
    const place = frame?.split(dist)[1]?.replace(/:\d+\)?$/, "");
    index = INDEX_AT.get(place);
    if (index === undefined) throw new Error(`a draw at a place that is not listed: ${frame}`);
    known.set(stack, index);
  }
  return index;
}

/** Rows of log and tape: site, low, high, raw word; the draw is low + raw * (high - low) / 2^32. */
export class RecordingPRNG extends PRNG {
  /** words: the generator's 64 bits, high word first. */
  constructor(words) {
    super(words.flatMap((word) => [word >>> 16, word & SHORT_MASK]).join(","));
    this.log = [];
    this.tape = null;
  }

  get words() {
    const [a, b, c, d] = this.rng.seed;
    return [((a << 16) | b) >>> 0, ((c << 16) | d) >>> 0];
  }

  /** Start a new log; take draws from `tape`, where there is one: low and high null are any. */
  begin(tape = null) {
    this.log = [];
    this.tape = tape;
  }

  random(from, to) {
    const trace = {};
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(trace, this.random);
    const site = siteOf(trace.stack);
    Error.stackTraceLimit = limit;
    const [low, high] = from === undefined ? [0, WORD] : to ? [from, to] : [0, from];
    let raw = this.rng.next();
    if (this.tape) raw = this.forced(site, low, high);
    this.log.push([site, low, high, raw]);
    return low + Math.floor((raw * (high - low)) / WORD);
  }

  forced(site, low, high) {
    const name = SITES[site];
    const wants = `wants a draw in [${low}, ${high})`;
    const row = this.tape[this.log.length];
    if (!row) throw new Refusal("tape", `${wants}, the tape has ended`, name);
    const [otherSite, otherLow, otherHigh, raw] = row;
    if (otherSite !== site || (otherHigh !== null && (otherLow !== low || otherHigh !== high)))
      throw new Refusal(
        "tape",
        `${wants}, the tape holds one at ${SITES[otherSite]} in [${otherLow}, ${otherHigh})`,
        name,
      );
    return raw;
  }
}
