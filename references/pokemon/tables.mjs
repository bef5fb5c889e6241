// What the tables of generation 1 say of species, moves and types, as plain data.
import { dex, STATS } from "./battles.mjs";
import { typeCode } from "./fields.mjs";

const GENERATION = 1;
const SHARED = ["basePower", "accuracy", "pp", "priority", "category", "target"];
const NUMBERS = ["critRatio", "multihit", "recoil", "drain", "damage"];
const NAMES = ["status", "volatileStatus", "boosts", "secondaries", "self"];
const FLAGS = ["selfdestruct", "ohko", "ignoreImmunity", "noPPBoosts"];

function moveRow(move) {
  const row = { num: move.num, id: move.id, name: move.name, type: typeCode(move.type) };
  for (const key of SHARED) row[key] = move[key];
  for (const key of [...NUMBERS, ...NAMES, ...FLAGS]) if (move[key]) row[key] = move[key];
  if (move.flags.charge) row.charge = true;
  if (move.flags.metronome) row.metronome = true;
  // `useMoveInner` of the mod decides what stands nowhere.
  row.ignoreImmunity = move.ignoreImmunity ?? move.category === "Status";
  return row;
}

/** Of a move's type against one of the target's: 1 double, -1 half, 0 whole, null none of it. */
function effectiveness(source, target) {
  if (!dex.getImmunity(source, target)) return null;
  return dex.getEffectiveness(source, target);
}

export function tables() {
  const ofGeneration = (list) =>
    list.filter((entry) => entry.gen === GENERATION).sort((a, b) => a.num - b.num);
  const species = ofGeneration(dex.species.all()).filter((entry) => !entry.forme);
  const types = dex.types.names().filter((name) => !dex.types.get(name).isNonstandard);
  return {
    species: species.map((entry) => ({
      ...{ num: entry.num, name: entry.name, types: entry.types.map(typeCode) },
      stats: STATS.map((stat) => entry.baseStats[stat]),
    })),
    moves: ofGeneration(dex.moves.all()).map(moveRow),
    types: types.map((name) => ({
      ...{ num: typeCode(name), name },
      against: types.map((target) => [typeCode(target), effectiveness(name, target)]),
    })),
  };
}
