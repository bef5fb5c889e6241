// The npm package, from the folder that holds its node_modules: the program's only argument.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2]);
const require = createRequire(join(folder, "package.json"));

export const { Battle, Dex, PRNG, Teams, TeamValidator } = require("pokemon-showdown");
export const version = require("pokemon-showdown/package.json").version;
/** Where upstream's compiled files lie; call sites are named relative to it. */
export const dist = join(folder, "node_modules", "pokemon-showdown", "dist") + "/";
