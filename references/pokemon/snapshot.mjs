// The state of a battle at a decision as integers, and back. README.md says what is left out.
import { dex, makeBattle, NUM_MOVES, requestOf, REQUESTS, STATS } from "./battles.mjs";
import { TEAM_SIZE, toSet, winnerOf } from "./battles.mjs";
import { PRNG } from "./showdown.mjs";

const STATUSES = ["", "slp", "psn", "brn", "frz", "par", "tox", "fnt"];
const TYPES = ["", "Normal", "Fighting", "Flying", "Poison", "Ground", "Rock", "Bug", "Ghost"]
  .concat(["Fire", "Water", "Grass", "Electric", "Psychic", "Ice", "Dragon", "???"]);
const BOOSTS = ["atk", "def", "spa", "spd", "spe", "accuracy", "evasion"];
const BATTLE_STATS = STATS.slice(1);
const TIE = 2;
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
const activeMove = (index) => (index ? dex.getActiveMove(moveIds[index]) : null);
const move = (index) => (index ? dex.moves.get(moveIds[index]) : null);

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
const VOLATILES = {
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
const VOLATILE_NAMES = Object.keys(VOLATILES);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function rankOf(side, volatile) {
  return Object.keys(side.active[0].volatiles).indexOf(volatile) + 1;
}

const volatileFields = [
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

function makeVolatiles(side, ranks) {
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

// -- fields: {name, dtype, size, get(of, k), set(of, k, value)}; without set, made up for elsewhere

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
const slots = (name, get, dtype) => ({ name, dtype, size: NUM_MOVES, get });

const battleFields = [
  { name: "seed", dtype: "uint32", size: 2, get: (battle, k) => battle.prng.words[k] },
  property("turn", "turn"),
  flagProperty("mid_turn", "midTurn"),
  { ...property("last_damage", "lastDamage"), dtype: "int32" },
  { name: "winner", get: winnerOf },
];

const sideFields = [
  { name: "request", get: requestOf },
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
  usedMove("last_move", "lastMove", move),
  usedMove("last_enemy_move", "lastEnemyMove", move),
  moveId("last_selected_move", "lastSelectedMove"),
  property("last_selected_move_slot", "lastSelectedMoveSlot"),
  moveId("last_enemy_selected_move", "lastEnemySelectedMove"),
  ...volatileFields,
];

const pokemonFields = [
  property("hp", "hp"),
  property("max_hp", "maxhp"),
  flagProperty("fainted", "fainted"),
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
  slots("disabled", (pokemon, k) => Number(!!pokemon.moveSlots[k]?.disabled), "bool"),
  usedMove("pokemon_last_move", "lastMove", activeMove),
  moveId("move_this_turn", "moveThisTurn"),
  flagProperty("sub_fainted", "subFainted"),
  flagProperty("trapped", "trapped"),
  flagProperty("maybe_locked", "maybeLocked"),
];

const ROW = { team_species: 0, team_level: 0, team_moves: NUM_MOVES, team_evs: 6, team_ivs: 6 };
const rowFields = Object.entries(ROW).map(([name, size]) => ({ name, size }));

const layout = [];
let width = 0;
for (const [fields, shape] of [
  [battleFields, []],
  [sideFields, [2]],
  [pokemonFields, [2, TEAM_SIZE]],
  [rowFields, [2, TEAM_SIZE]],
]) {
  for (const field of fields) {
    const whole = field.size ? [...shape, field.size] : shape;
    const length = whole.reduce((product, n) => product * n, 1);
    layout.push({ ...field, shape: whole, length, offset: width, each: field.size || 1 });
    width += length;
  }
}
export const WIDTH = width;
/** Name, dtype and shape of every field, in the order of the integers of a battle. */
export const FIELDS = layout.map(({ name, dtype = "int16", shape }) => [name, dtype, shape]);
const placed = new Map(layout.map((field) => [field.name, field]));
const at = (fields) => fields.map(({ name }) => placed.get(name));
const [placedBattle, placedSide, placedPokemon, placedRow] = [
  at(battleFields),
  at(sideFields),
  at(pokemonFields),
  at(rowFields),
];

// -- reading

function checkQuiet(battle) {
  const { queue, faintQueue, field, sides } = battle;
  const conditions = sides.flatMap((side) => [side.sideConditions, ...side.slotConditions]);
  const busy = queue.list.length || faintQueue.length || field.weather;
  if (busy || conditions.some((states) => Object.keys(states).length))
    throw new Error("the battle holds what generation 1 never leaves at a decision");
  for (const side of sides)
    for (const pokemon of side.pokemon)
      for (const id in pokemon.volatiles)
        if (!VOLATILES[id] || pokemon !== side.active[0])
          throw new Error(`${pokemon} has ${id}, for which there is no field`);
}

function readInto(values, base, fields, of, index) {
  for (const { offset, each, get } of fields)
    for (let k = 0; k < each; k++) values[base + offset + index * each + k] = get(of, k);
}

/** Fill `values[base .. base + WIDTH)`; absent Pokemon are zeros. */
export function read(battle, values, base) {
  if (!battle.ended) checkQuiet(battle);
  readInto(values, base, placedBattle, battle, 0);
  battle.sides.forEach((side, player) => {
    readInto(values, base, placedSide, side, player);
    battle.rosters[player].forEach((pokemon, slot) => {
      const index = player * TEAM_SIZE + slot;
      readInto(values, base, placedPokemon, pokemon, index);
      const row = battle.rows[player][slot];
      let from = 0;
      for (const { offset, each } of placedRow)
        for (let k = 0; k < each; k++) values[base + offset + index * each + k] = row[from++];
    });
  });
}

// -- writing

/** A battle in the state that `read` wrote. */
export function write(format, values, base, options) {
  const get = (name, index = 0) => values[base + placed.get(name).offset + index];
  const teams = [0, 1].map((player) => {
    const rows = [...Array(TEAM_SIZE).keys()].map((slot) =>
      placedRow.flatMap(({ offset, each }) => {
        const from = base + offset + (player * TEAM_SIZE + slot) * each;
        return [...values.slice(from, from + each)];
      }),
    );
    return rows.filter(([species]) => species).map(toSet);
  });
  const words = [get("seed", 0) >>> 0, get("seed", 1) >>> 0];
  const battle = makeBattle(format, words, teams, { ...options, fresh: false });
  const writeInto = (fields, of, index) => {
    for (const { offset, each, set } of fields)
      for (let k = 0; set && k < each; k++) set(of, k, values[base + offset + index * each + k]);
  };

  battle.sides.forEach((side, player) => {
    const roster = battle.rosters[player];
    side.pokemon = roster.map((_, k) => roster[get("order", player * TEAM_SIZE + k)]);
    side.pokemon.forEach((pokemon, position) => {
      pokemon.position = position;
    });
    side.active[0] = side.pokemon[0];
  });
  battle.sides.forEach((side, player) => {
    battle.rosters[player].forEach((pokemon, slot) => {
      const index = player * TEAM_SIZE + slot;
      writeInto(placedPokemon, pokemon, index);
      pokemon.isActive = pokemon.isStarted = pokemon.position === 0 && !pokemon.fainted;
      writeMoveSlots(pokemon, index, get);
    });
    const first = player * VOLATILE_NAMES.length;
    makeVolatiles(side, VOLATILE_NAMES.map((_, k) => get("volatile_order", first + k)));
    writeInto(placedSide, side, player);
    side.active[0].switchFlag = get("request", player) === REQUESTS.indexOf("switch");
  });
  writeInto(placedBattle, battle, 0);
  ask(battle, Math.max(get("request", 0), get("request", 1)), get("winner"));
  return battle;
}

function writeMoveSlots(pokemon, index, get) {
  pokemon.baseMoveSlots.forEach((slot, k) => {
    slot.pp = get("base_pp", index * NUM_MOVES + k);
  });
  pokemon.moveSlots = [];
  for (let k = 0; k < NUM_MOVES; k++) {
    const place = index * NUM_MOVES + k;
    if (!get("moves", place)) break;
    let slot = pokemon.baseMoveSlots[k];
    if (get("virtual", place)) {
      const { id, name, target } = move(get("moves", place));
      const maxpp = pokemon.battle.calculatePP(dex.moves.get(id), pokemon.ppUps[k] || 0);
      slot = { move: name, id, maxpp, target, used: false, virtual: true };
    }
    slot.pp = get("pp", place);
    slot.disabled = !!get("disabled", place);
    pokemon.moveSlots.push(slot);
  }
}

/** Make the requests anew; what that draws was drawn before the snapshot. */
function ask(battle, request, winner) {
  if (winner >= 0) {
    battle.ended = true;
    battle.winner = winner === TIE ? "" : battle.sides[winner].name;
    return;
  }
  const { prng } = battle;
  battle.prng = new PRNG("0,0,0,0");
  battle.requestState = REQUESTS[request];
  const requests = battle.getRequests(battle.requestState);
  battle.sides.forEach((side, i) => {
    side.clearChoice();
    side.activeRequest = requests[i];
  });
  battle.prng = prng;
}
