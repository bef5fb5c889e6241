// Loaded into every Node.js program of a measured reference: on SIGUSR2 it writes the counters, which begin anew.
const { existsSync, mkdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const v8 = require("node:v8");

const folder = join(process.env.NODE_V8_COVERAGE, "hooks");
const mark = (name) => writeFileSync(join(folder, `${process.pid}.${name}`), "");

if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
let taken = 0;
process.on("SIGUSR2", () => {
  v8.takeCoverage();
  mark(`taken-${taken++}`);
});
mark("ready");
