// The state of a battle at a decision as integers, and back.
import { dex, makeBattle, NUM_MOVES, REQUESTS, STATS, TEAM_SIZE, toSet } from "./battles.mjs";
import { battleFields, pokemonFields, sideFields } from "./fields.mjs";
import { makeVolatiles, moveOf, VOLATILE_NAMES, VOLATILES } from "./fields.mjs";
import { PRNG } from "./showdown.mjs";

const TIE = 2; // the winner

/** What a row of battles.mjs holds. */
const rowFields = Object.entries({
  ...{ team_species: 0, team_level: 0, team_moves: NUM_MOVES },
  ...{ team_evs: STATS.length, team_ivs: STATS.length },
}).map(([name, size]) => ({ name, size }));

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
      const { id, name, target } = moveOf(get("moves", place));
      const maxpp = pokemon.battle.calculatePP(dex.moves.get(id), pokemon.ppUps[k] || 0);
      slot = { move: name, id, maxpp, target, used: false, virtual: true };
    }
    slot.pp = get("pp", place);
    slot.disabled = false;
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
