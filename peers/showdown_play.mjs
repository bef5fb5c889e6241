// Showdown as fast as it goes, under random legal choices: one battle after the other, each with
// Showdown's own generator, no log, no record, ready-made teams.
// node showdown_play.mjs <folder with node_modules> <seed>
// A line in: {updates}; a line out: {decisions, processor_s}. The first line out comes unasked.
import { createInterface } from "node:readline";

import {
  choose,
  makeBattle,
  NOTHING,
  NUM_ACTIONS,
  TeamGenerator,
  writeLegal,
} from "../references/pokemon/battles.mjs";
import { PRNG } from "../references/pokemon/showdown.mjs";

const FORMAT = "gen1randombattle";
const NUM_PAIRS = 64; // teams that are made before anything is timed
const WARM_UP = 5000; // updates until V8 has compiled what is run often
const PLAYERS = [0, 1];

const dice = new PRNG(`gen5,${Number(process.argv[3]).toString(16).padStart(16, "0")}`);
const seed = () => PRNG.convertSeed([0, 0, 0, 0].map(() => dice.random(2 ** 16)));
const generator = new TeamGenerator(FORMAT);
const pairs = Array.from({ length: NUM_PAIRS }, () => generator.generate([seed(), seed()]));
const mask = new Uint8Array(NUM_ACTIONS);
let battle = null;

function begin() {
  battle = makeBattle(FORMAT, [0, 0], dice.sample(pairs), { log: false });
  battle.resetRNG(seed()); // a generator of Showdown's own instead of one that records
}

function randomLegal(player) {
  writeLegal(battle, player, mask);
  let count = 0;
  for (const legal of mask) count += legal;
  if (!count) return NOTHING;
  let left = dice.random(count);
  return mask.findIndex((legal) => legal && !left--);
}

/** How many players' answers that many updates were; a battle that ends is followed by another. */
function play(updates) {
  let decisions = 0;
  for (let update = 0; update < updates; update++) {
    if (!battle || battle.ended) begin();
    const actions = PLAYERS.map(randomLegal);
    decisions += actions.filter((action) => action !== NOTHING).length;
    choose(battle, actions);
  }
  return decisions;
}

function answer(decisions) {
  const { user, system } = process.cpuUsage(); // in microseconds
  const line = JSON.stringify({ decisions, processor_s: (user + system) / 1e6 });
  process.stdout.write(line + "\n");
}

play(WARM_UP);
answer(0);
createInterface({ input: process.stdin }).on("line", (line) => {
  answer(play(JSON.parse(line).updates));
});
