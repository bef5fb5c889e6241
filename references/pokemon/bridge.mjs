// Many battles in one process, over standard input and output: a JSON object a line, in order.
// node bridge.mjs <folder with node_modules> <format> <number of battles> <log: 0 or 1>
// Arrays travel as base64 of little-endian numbers.
import { createInterface } from "node:readline";

import { choose, makeBattle, NUM_ACTIONS, requestOf, TEAM_SIZE } from "./battles.mjs";
import { TeamGenerator, toRow, toSet, winnerOf, writeLegal } from "./battles.mjs";
import { Refusal, SITES } from "./dice.mjs";
import { LegalTeams } from "./legal.mjs";
import { Dex, Teams, version } from "./showdown.mjs";
import { FIELDS, read, WIDTH, write } from "./snapshot.mjs";
import { tables } from "./tables.mjs";

const [format, count, log] = [process.argv[3], Number(process.argv[4]), process.argv[5] === "1"];
const battles = new Array(count).fill(null);
const ended = new Array(count).fill(null); // as they were before the reset that followed the step
let generator = null;

const encode = (array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

function decodeInt32(text) {
  const bytes = Buffer.from(text, "base64");
  return new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function generate(seeds) {
  generator ??= new TeamGenerator(format);
  return generator.generate(seeds);
}

/** What the battles at these indices show, and what they drew. */
function outcome(at) {
  const legal = new Uint8Array(at.length * 2 * NUM_ACTIONS);
  const request = new Uint8Array(at.length * 2);
  const winner = new Int8Array(at.length);
  const draws = [];
  const counts = at.map((index, i) => {
    const battle = battles[index];
    for (const player of [0, 1]) {
      const from = (2 * i + player) * NUM_ACTIONS;
      writeLegal(battle, player, legal.subarray(from, from + NUM_ACTIONS));
      request[2 * i + player] = requestOf(battle.sides[player]);
    }
    winner[i] = winnerOf(battle);
    draws.push(...battle.prng.log);
    return battle.prng.log.length;
  });
  return {
    ...{ legal: encode(legal), request: encode(request), winner: encode(winner), counts },
    draws: encode(Float64Array.from(draws.flat())),
  };
}

function hello() {
  const { mod, gameType, team } = Dex.formats.get(format);
  const playable = mod === "gen1" && gameType === "singles";
  return { version, fields: FIELDS, sites: SITES, playable, generates: playable && !!team };
}

const verbs = {
  hello,
  reset: ({ at, seeds, teamSeeds, teams, tapes }) => {
    at.forEach((index, i) => {
      const pair = teams ? teams[i].map((team) => team.map(toSet)) : generate(teamSeeds[i]);
      ended[index] = battles[index];
      battles[index] = makeBattle(format, seeds[i], pair, { log, tape: tapes?.[i] });
    });
    return outcome(at);
  },
  step: ({ actions, tapes }) => {
    ended.fill(null);
    battles.forEach((battle, i) => {
      battle.prng.begin(tapes?.[i]);
      choose(battle, actions[i]);
    });
    return outcome([...battles.keys()]);
  },
  snapshot: ({ final }) => {
    const values = new Int32Array(count * WIDTH);
    battles.forEach((battle, i) => read((final && ended[i]) || battle, values, i * WIDTH));
    return { values: encode(values) };
  },
  restore: ({ values }) => {
    const numbers = decodeInt32(values);
    battles.forEach((_, i) => {
      ended[i] = null;
      battles[i] = write(format, numbers, i * WIDTH, { log });
    });
    return outcome([...battles.keys()]);
  },
  log: ({ index, final }) => ({ lines: ((final && ended[index]) || battles[index]).log }),
  generate: ({ teamSeeds }) => ({ teams: teamSeeds.flatMap((seeds) => rows(generate(seeds))) }),
  legal: ({ teamSeeds }) => {
    const legal = new LegalTeams(format);
    return { teams: rows(teamSeeds.map((seed) => legal.make(seed))) };
  },
  unpack: ({ packed }) => ({ teams: rows(packed.map((text) => Teams.unpack(text))) }),
  tables,
};

function rows(teams) {
  const absent = new Array(toRow({ species: "Mew", moves: [] }).length).fill(0);
  return teams.map((team) => {
    const filled = team.map(toRow);
    while (filled.length < TEAM_SIZE) filled.push(absent);
    return filled;
  });
}

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
