// Battles that are driven by integers: made from seeds and arrays, with a mask of legal actions.
import { RecordingPRNG } from "./dice.mjs";
import { Battle, Dex, Teams } from "./showdown.mjs";

export const NUM_MOVES = 4;
export const TEAM_SIZE = 6;
export const NUM_ACTIONS = NUM_MOVES + TEAM_SIZE;
export const NOTHING = -1; // the action of a player who has nothing to choose
export const REQUESTS = ["", "move", "switch"];
export const STATS = ["hp", "atk", "def", "spa", "spd", "spe"];

export const dex = Dex.mod("gen1");
const NAMES = ["p1", "p2"];
const GENERATION = 1;
const named = (list) =>
  new Map(list.filter((entry) => entry.gen === GENERATION).map((entry) => [entry.num, entry.name]));
const speciesNames = named(dex.species.all().filter((species) => !species.forme));
const moveNames = named(dex.moves.all());

/** Nobody reads a silent battle's log, which otherwise takes a tenth of the time. */
class SilentBattle extends Battle {
  add() {
    this.log[0] = ""; // Haze appends to the last line
  }
  addMove() {}
  addSplit() {}
  attrLastMove() {}
  hint() {}
  retargetLastMove() {}
  sendUpdates() {}
}

// -- teams

/** A Pokemon as numbers: species, level, four moves, effort values, individual values. */
export function toRow(set) {
  const moves = set.moves.map((name) => dex.moves.get(name).num);
  while (moves.length < NUM_MOVES) moves.push(0);
  const numbers = [set.evs, set.ivs].flatMap((spread, which) =>
    STATS.map((stat) => spread?.[stat] ?? [255, 30][which]),
  );
  return [dex.species.get(set.species || set.name).num, set.level || 100, ...moves, ...numbers];
}

export function toSet(row) {
  const [species, level, ...rest] = row;
  const spread = (values) => Object.fromEntries(STATS.map((stat, i) => [stat, values[i]]));
  const afterMoves = rest.slice(NUM_MOVES);
  return {
    species: speciesNames.get(species),
    level,
    moves: rest.slice(0, NUM_MOVES).filter(Boolean).map((move) => moveNames.get(move)),
    evs: spread(afterMoves.slice(0, STATS.length)),
    ivs: spread(afterMoves.slice(STATS.length)),
    ability: "No Ability",
    gender: "N",
  };
}

/** Teams as `new Battle` generates them of these seeds, but four times as fast: one generator. */
export class TeamGenerator {
  constructor(format) {
    this.generator = Teams.getGenerator(format, "0,0,0,0");
  }
  generate(seeds) {
    this.generator.battleHasDitto = false; // all that it keeps from team to team
    return seeds.map((seed) => {
      this.generator.setSeed(seed);
      return this.generator.getTeam();
    });
  }
}

// -- battles

/** A battle, not yet started where `fresh` is false, and the two teams in their first order. */
export function makeBattle(format, words, teams, { log, tape, fresh = true }) {
  const prng = new RecordingPRNG(words);
  prng.begin(tape);
  const Kind = log ? Battle : SilentBattle;
  const battle = new Kind({ formatid: format, prng, deserialized: !fresh });
  NAMES.forEach((name, i) => battle.setPlayer(name, { name, team: teams[i] }));
  if (!fresh) {
    battle.sides[0].foe = battle.sides[1];
    battle.sides[1].foe = battle.sides[0];
    battle.started = true;
    for (const rule of battle.ruleTable.keys())
      if (!"+*-!".includes(rule[0])) Dex.formats.get(rule).onBegin?.call(battle);
  }
  // `side.pokemon` is reordered as the battle goes; a Pokemon keeps its slot in the team.
  battle.rosters = battle.sides.map((side) =>
    side.team.map((set) => side.pokemon.find((pokemon) => pokemon.set === set)),
  );
  battle.rows = battle.sides.map((side) => side.team.map(toRow));
  return battle;
}

/** -1 while it goes on, then 0 or 1 for the player who won, 2 for a tie. */
export function winnerOf(battle) {
  if (!battle.ended) return -1;
  return battle.winner ? NAMES.indexOf(battle.winner) : NAMES.length;
}

export function requestOf(side) {
  return REQUESTS.indexOf(side.requestState);
}

/** Writes the player's mask, all 0 for one who waits: exactly what the request allows. */
export function writeLegal(battle, player, mask) {
  mask.fill(0);
  const side = battle.sides[player];
  const request = requestOf(side);
  if (!request) return;
  const active = side.activeRequest.active?.[0];
  active?.moves.forEach((move, i) => {
    mask[i] = move.disabled ? 0 : 1;
  });
  if (active?.trapped) return;
  battle.rosters[player].forEach((pokemon, slot) => {
    mask[NUM_MOVES + slot] = pokemon.position > 0 && !pokemon.fainted ? 1 : 0;
  });
}

/** Both players choose; the battle goes on to the next decision. */
export function choose(battle, actions) {
  const texts = actions.map((action, player) => {
    if (action === NOTHING) return null;
    if (action < NUM_MOVES) return `move ${action + 1}`;
    return `switch ${battle.rosters[player][action - NUM_MOVES].position + 1}`;
  });
  texts.forEach((text, player) => {
    if (text !== null && !battle.choose(NAMES[player], text))
      throw new Error(`${text} was legal and is refused: ${battle.sides[player].choice.error}`);
  });
}
