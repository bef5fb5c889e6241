// What Showdown itself would save of a battle, and what of that differs in a restored one: paths of
// properties, a line each, without indexes. node survey.mjs <folder> < teams as rows
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const sources = new URL("../../../references/pokemon/", import.meta.url);
const { choose, makeBattle, NUM_ACTIONS, toSet, writeLegal } = await import(
  new URL("battles.mjs", sources)
);
const { read, WIDTH, write } = await import(new URL("snapshot.mjs", sources));
const require = createRequire(`${process.argv[2]}/package.json`);
const { State } = require("pokemon-showdown/dist/sim/state");

const FORMAT = "gen1ou";
const STEPS = 60;
const options = { log: false };
const INDEX = /^(\d+|p[12]a)$/;
const paths = new Set();

function compare(path, one, other) {
  if (![one, other].every((value) => value && typeof value === "object")) {
    if (one !== other) paths.add(path.join("."));
    return;
  }
  for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const name = path.at(-1) === "volatiles" ? "*" : key;
    compare(INDEX.test(key) ? path : [...path, name], one[key], other[key]);
  }
}

const saved = (battle) => JSON.parse(JSON.stringify(State.serializeBattle(battle)));

let state = 1; // of a small generator of our own
const random = (bound) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % bound;
};

const teams = JSON.parse(readFileSync(0, "utf8"));
for (let first = 0; first + 1 < teams.length; first += 2) {
  const pair = [teams[first], teams[first + 1]].map((team) => team.map(toSet));
  const battle = makeBattle(FORMAT, [first, 7], pair, options);
  for (let step = 0; step < STEPS && !battle.ended; step++) {
    const values = new Int32Array(WIDTH);
    read(battle, values, 0);
    compare([], saved(battle), saved(write(FORMAT, values, 0, options)));
    const mask = new Uint8Array(NUM_ACTIONS);
    const actions = [0, 1].map((player) => {
      writeLegal(battle, player, mask);
      const legal = [...mask.keys()].filter((action) => mask[action]);
      return legal.length ? legal[random(legal.length)] : -1;
    });
    choose(battle, actions);
  }
}
console.log([...paths].sort().join("\n"));
