// What of a battle is state at a decision, as integers: how to read each field, and how to set it.
// README.md describes them, and says what is left out.
import { dex, NUM_MOVES, requestOf, REQUESTS, STATS, TEAM_SIZE, winnerOf } from "./battles.mjs";

const STATUSES = ["", "slp", "psn", "brn", "frz", "par", "tox", "fnt"];
const TYPES = ["", "Normal", "Fighting", "Flying", "Poison", "Ground", "Rock", "Bug", "Ghost"]
  .concat(["Fire", "Water", "Grass", "Electric", "Psychic", "Ice", "Dragon", "???"]);
const BOOSTS = ["atk", "def", "spa", "spd", "spe", "accuracy", "evasion"];
const BATTLE_STATS = STATS.slice(1);
const MOVE_REQUEST = REQUESTS.indexOf("move");
const FROM_SELF = 1;
const FROM_FOE = 2;

// -- codes

const PSEUDO_MOVES = ["nomove", "cannotmove", "recharge", "fight"]; // after the 165 real ones
const moveCodes = new Map([["", 0]]);
const moveIds = [""];
for (const move of dex.moves.all().filter((move) => move.gen === 1)) moveIds[move.num] = move.id;
moveIds.push(...PSEUDO_MOVES);
moveIds.forEach((id, code) => moveCodes.set(id, code));
const speciesIds = [""];
for (const species of dex.species.all().filter((s) => s.gen === 1 && !s.forme))
  speciesIds[species.num] = species.id;

function code(table, value) {
  const index = table.indexOf(value);
  if (index < 0) throw new Error(`${value} has no code among ${table}`);
  return index;
}
function moveCode(id) {
  const index = moveCodes.get(id || "");
  if (index === undefined) throw new Error(`the move ${id} has no code`);
  return index;
}
export const typeCode = (name) => code(TYPES, name);
const activeMove = (index) => (index ? dex.getActiveMove(moveIds[index]) : null);
export const moveOf = (index) => (index ? dex.moves.get(moveIds[index]) : null);

// -- volatiles: what an active Pokemon loses when it leaves

const number = { read: (value) => value ?? 0, write: (value) => value };
const flag = { read: (value) => Number(!!value), write: Boolean };
const moveName = { read: moveCode, write: (value) => moveIds[value] };
/** A Pokemon of the other side: its slot + 1. */
const foe = {
  read: (value, side) => (value ? side.battle.rosters[side.foe.n].indexOf(value) + 1 : 0),
  write: (value, side) => side.battle.rosters[side.foe.n][value - 1],
};
const int32 = { ...number, dtype: "int32" };

/** Each with the numbers that it keeps, by Showdown's names. */
export const VOLATILES = {
  bide: { time: number, damage: int32 },
  confusion: { time: number },
  defensecurl: {},
  disable: { time: number, move: moveName, slotIndex: number },
  fakepartiallytrapped: { duration: number, counterpart: foe },
  flinch: { duration: number },
  focusenergy: {},
  invulnerability: {},
  leechseed: {},
  lightscreen: {},
  lockedmove: { time: number, move: moveName, accuracy: number },
  minimize: {},
  mist: {},
  mustrecharge: {},
  partiallytrapped: { duration: number, source: foe, maybeLocked: flag },
  partialtrappinglock: {
    duration: number,
    totalDuration: number,
    move: moveName,
    damage: int32,
    locked: foe,
  },
  rage: { move: moveName, accuracy: number },
  reflect: {},
  residualdmg: { counter: number },
  substitute: { hp: number },
  twoturnmove: { move: moveName },
};
export const VOLATILE_NAMES = Object.keys(VOLATILES);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function rankOf(side, volatile) {
  return Object.keys(side.active[0].volatiles).indexOf(volatile) + 1;
}

const volatileFields = [
  {
    name: "volatiles", // which are there; how it is restored is volatile_order
    dtype: "bool",
    size: VOLATILE_NAMES.length,
    get: (side, k) => Number(rankOf(side, VOLATILE_NAMES[k]) > 0),
  },
  {
    name: "volatile_order", // 1 for the eldest: ties between handlers depend on it
    size: VOLATILE_NAMES.length,
    get: (side, k) => rankOf(side, VOLATILE_NAMES[k]),
  },
  ...Object.entries(VOLATILES).flatMap(([volatile, numbers]) =>
    Object.entries(numbers).map(([key, { read, write, dtype }]) => ({
      name: `${volatile}_${snake(key)}`,
      dtype,
      get: (side) => {
        const state = side.active[0].volatiles[volatile];
        return state ? read(state[key], side) : 0;
      },
      set: (side, k, value) => {
        const state = side.active[0].volatiles[volatile];
        if (state) state[key] = write(value, side);
      },
    })),
  ),
];

/** ranks: by the order of VOLATILES; their numbers are fields of the side. */
export function makeVolatiles(side, ranks) {
  const target = side.active[0];
  const ordered = VOLATILE_NAMES.map((id, i) => [ranks[i], id]).filter(([rank]) => rank);
  for (const [, id] of ordered.sort(([a], [b]) => a - b)) {
    const other = side.foe.active[0];
    target.volatiles[id] = side.battle.initEffectState({
      ...{ id, name: dex.conditions.get(id).name, target },
      ...{ source: other, sourceSlot: other.getSlot() },
    });
  }
}

// -- fields: {name, dtype, size, get(of, k), set(of, k, value)}; one without set is not simply set

const property = (name, key) => ({
  name,
  get: (of) => of[key],
  set: (of, k, value) => {
    of[key] = value;
  },
});
const flagProperty = (name, key) => ({
  name,
  dtype: "bool",
  get: (of) => Number(!!of[key]),
  set: (of, k, value) => {
    of[key] = !!value;
  },
});
const numbers = (name, key, names) => ({
  name,
  size: names.length,
  get: (of, k) => of[key][names[k]],
  set: (of, k, value) => {
    of[key][names[k]] = value;
  },
});
const moveId = (name, key) => ({
  name,
  get: (of) => moveCode(of[key]),
  set: (of, k, value) => {
    of[key] = moveIds[value];
  },
});
const usedMove = (name, key, make) => ({
  name,
  get: (of) => moveCode(of[key]?.id),
  set: (of, k, value) => {
    of[key] = make(value);
  },
});
/** Flags of the active Pokemon: made as a turn ends, and read by a request for a move alone. */
const ofRequest = (name, length, holders, key) => ({
  name,
  dtype: "bool",
  size: length > 1 ? length : 0,
  get: (side, k) =>
    Number(requestOf(side) === MOVE_REQUEST && !!holders(side.active[0])[k]?.[key]),
  set: (side, k, value) => {
    const holder = holders(side.active[0])[k];
    if (holder) holder[key] = !!value;
  },
});
const slots = (name, get, dtype) => ({ name, dtype, size: NUM_MOVES, get });

export const battleFields = [
  { name: "seed", dtype: "uint32", size: 2, get: (battle, k) => battle.prng.words[k] },
  property("turn", "turn"),
  flagProperty("mid_turn", "midTurn"),
  { ...property("last_damage", "lastDamage"), dtype: "int32" },
  { name: "winner", get: winnerOf },
];

export const sideFields = [
  { name: "request", get: requestOf },
  ofRequest("disabled", NUM_MOVES, (active) => active.moveSlots, "disabled"),
  ofRequest("trapped", 1, (active) => [active], "trapped"),
  ofRequest("maybe_locked", 1, (active) => [active], "maybeLocked"),
  {
    name: "order", // the slot of the Pokemon in each place; the first is active
    size: TEAM_SIZE,
    get: (side, k) => side.battle.rosters[side.n].indexOf(side.pokemon[k]),
  },
  property("pokemon_left", "pokemonLeft"),
  property("total_fainted", "totalFainted"),
  {
    ...flagProperty("fainted_this_turn", "faintedThisTurn"),
    set: (side, k, value) => {
      side.faintedThisTurn = value ? side.active[0] : null;
    },
  },
  usedMove("last_move", "lastMove", moveOf),
  usedMove("last_enemy_move", "lastEnemyMove", moveOf),
  moveId("last_selected_move", "lastSelectedMove"),
  property("last_selected_move_slot", "lastSelectedMoveSlot"),
  moveId("last_enemy_selected_move", "lastEnemySelectedMove"),
  ...volatileFields,
];

export const pokemonFields = [
  property("hp", "hp"),
  property("max_hp", "maxhp"),
  {
    ...flagProperty("fainted", "fainted"),
    set: (pokemon, k, value) => {
      pokemon.fainted = pokemon.faintQueued = !!value;
    },
  },
  {
    name: "status",
    get: (pokemon) => code(STATUSES, pokemon.status),
    set: (pokemon, k, value) => {
      pokemon.status = STATUSES[value];
      pokemon.statusState = pokemon.battle.initEffectState({ id: pokemon.status, target: pokemon });
    },
  },
  {
    name: "sleep_time",
    get: ({ status, statusState }) => (status === "slp" ? statusState.time : 0),
    set: (pokemon, k, value) => {
      if (pokemon.status === "slp") pokemon.statusState.time = value;
    },
  },
  {
    name: "sleep_source", // Sleep Clause asks whose doing it was
    get: ({ status, statusState: { source }, side }) =>
      status === "slp" ? (source.side === side ? FROM_SELF : FROM_FOE) : 0,
    set: (pokemon, k, value) => {
      const source = { [FROM_SELF]: pokemon, [FROM_FOE]: pokemon.side.foe.pokemon[0] }[value];
      if (source) pokemon.statusState.source = source;
    },
  },
  {
    name: "species",
    get: (pokemon) => pokemon.species.num,
    set: (pokemon, k, value) => {
      pokemon.species = dex.species.get(speciesIds[value]);
    },
  },
  {
    name: "types",
    size: 2,
    get: (pokemon, k) => code(TYPES, pokemon.types[k] ?? ""),
    set: (pokemon, k, value) => {
      if (k === 0) pokemon.types = [];
      if (value) pokemon.types.push(TYPES[value]);
    },
  },
  flagProperty("transformed", "transformed"),
  numbers("base_stats", "baseStoredStats", BATTLE_STATS),
  numbers("stored_stats", "storedStats", BATTLE_STATS),
  numbers("modified_stats", "modifiedStats", BATTLE_STATS),
  numbers("boosts", "boosts", BOOSTS),
  property("speed", "speed"),
  slots("moves", (pokemon, k) => moveCode(pokemon.moveSlots[k]?.id)),
  slots("pp", (pokemon, k) => pokemon.moveSlots[k]?.pp ?? 0),
  slots("base_pp", (pokemon, k) => pokemon.baseMoveSlots[k]?.pp ?? 0),
  slots("virtual", (pokemon, k) => Number(!!pokemon.moveSlots[k]?.virtual), "bool"),
  usedMove("pokemon_last_move", "lastMove", activeMove),
  moveId("move_this_turn", "moveThisTurn"),
  {
    ...flagProperty("sub_fainted", "subFainted"),
    set: (pokemon, k, value) => {
      pokemon.subFainted = value ? true : null;
    },
  },
];
