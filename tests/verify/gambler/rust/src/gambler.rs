//! The rules.

use crate::protocol::Dice;

pub const GOAL: i32 = 10;
const CLOSING: i32 = 30; // rounds
pub const STAKES: [i32; 4] = [0, 1, 2, 3];
const WIN_PERCENT: u64 = 48;

#[derive(Clone, Copy, Default)]
pub struct Gambler {
    pub purse: i32,
    pub round: i32,
    pub luck: f64,        // running mean of wins
    pub fingerprint: u64, // of all draws of the episode: FNV-1a
}

impl Gambler {
    pub fn initial(dice: &mut impl Dice) -> Gambler {
        let mut fresh =
            Gambler { luck: 0.5, fingerprint: 0xcbf2_9ce4_8422_2325, ..Gambler::default() };
        fresh.purse = 3 + fresh.draw(dice, "purse", 5) as i32;
        fresh
    }

    pub fn transition(mut self, stake: i32, dice: &mut impl Dice) -> Gambler {
        let won = stake > 0 && self.draw(dice, "toss", 100) < WIN_PERCENT;
        if won {
            self.purse += self.draw(dice, "payout", stake as u128) as i32 + 1; // up to the stake
        } else {
            self.purse -= stake;
        }
        self.luck += (f64::from(u8::from(won)) - self.luck) / 3.0;
        self.round += 1;
        self
    }

    pub fn is_closing(&self) -> bool {
        self.round >= CLOSING
    }

    pub fn legal_actions(&self) -> [bool; 4] {
        STAKES.map(|stake| stake <= self.purse && self.purse + stake <= GOAL)
    }

    pub fn observe(&self) -> [f32; 3] {
        let (purse, round) = (f64::from(self.purse), f64::from(self.round));
        [purse / f64::from(GOAL), round / f64::from(CLOSING), self.luck].map(|x| x as f32)
    }

    fn draw(&mut self, dice: &mut impl Dice, site: &'static str, bound: u128) -> u64 {
        let value = dice.draw(site, bound);
        self.fingerprint = (self.fingerprint ^ value).wrapping_mul(0x100_0000_01b3);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SplitMix;

    #[test]
    fn a_stake_of_nothing_draws_nothing() {
        let start = Gambler::initial(&mut SplitMix(1));
        let after = start.transition(0, &mut SplitMix(2));
        assert_eq!((after.purse, after.round), (start.purse, 1));
        assert_eq!(after.fingerprint, start.fingerprint);
    }
}
