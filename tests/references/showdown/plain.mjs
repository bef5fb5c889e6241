// Showdown as its users drive it: a stock Battle with a stock generator, told choices in words.
// A line in: {folder, format, seed, teamSeeds, choices}; a line out: {log, requests}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

createInterface({ input: process.stdin }).on("line", (line) => {
  const { folder, format, seed, teamSeeds, choices } = JSON.parse(line);
  const { Battle } = createRequire(`${folder}/package.json`)("pokemon-showdown");
  const battle = new Battle({ formatid: format, seed });
  teamSeeds.forEach((teamSeed, i) => {
    const player = `p${i + 1}`;
    battle.setPlayer(player, { name: player, seed: teamSeed });
  });
  const requests = [];
  for (const pair of choices) {
    requests.push(battle.sides.map((side) => structuredClone(side.activeRequest)));
    pair.forEach((choice, i) => {
      if (choice && !battle.choose(`p${i + 1}`, choice)) throw new Error(`${choice} is refused`);
    });
  }
  console.log(JSON.stringify({ log: battle.log, requests }));
});
