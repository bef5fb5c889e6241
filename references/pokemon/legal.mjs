// Random teams that a format allows, as its own validator says.
import { dex, NUM_MOVES, STATS, TEAM_SIZE } from "./battles.mjs";
import { PRNG, TeamValidator } from "./showdown.mjs";

const [LEVEL, MAX_EV, MAX_IV] = [100, 255, 30];
const spread = (value) => Object.fromEntries(STATS.map((stat) => [stat, value]));

function makeSet(species, moves) {
  return {
    ...{ name: species.name, species: species.name, level: LEVEL, moves },
    ...{ evs: spread(MAX_EV), ivs: spread(MAX_IV), ability: "No Ability", gender: "N" },
    ...{ item: "", nature: "Serious" },
  };
}

export class LegalTeams {
  constructor(format) {
    this.validator = TeamValidator.get(format);
    const moves = dex.moves.all().filter(({ gen }) => gen === 1);
    const kinds = dex.species.all().filter(({ gen, forme, num }) => gen === 1 && !forme && num > 0);
    this.choices = kinds
      .map((species) => [species, moves.map(({ id }) => id).filter((id) => this.can(species, [id]))])
      // Showdown fails where one with four moves becomes one with fewer, falls asleep and fights.
      .filter(([, ids]) => ids.length >= NUM_MOVES);
  }

  can(species, moves) {
    return !this.validator.validateSet(makeSet(species, moves), {});
  }

  /** Six species, each with four moves that it can have at once. */
  make(seed) {
    const prng = new PRNG(seed);
    for (;;) {
      const choices = [...this.choices];
      prng.shuffle(choices);
      const team = choices.slice(0, TEAM_SIZE).map(([species, ids]) => {
        for (;;) {
          const shuffled = [...ids];
          prng.shuffle(shuffled);
          const moves = shuffled.slice(0, NUM_MOVES);
          if (this.can(species, moves)) return makeSet(species, moves);
        }
      });
      if (!this.validator.validateTeam(team)) return team;
    }
  }
}
