//! The gambler of ../gambler.py, translated.

#![forbid(unsafe_code)]

mod gambler;
#[allow(dead_code)] // what other simulators need
mod protocol;

use gambler::{Gambler, GOAL, STAKES};
use protocol::{object, serve, Dice, Json, Outcome, Simulator};

impl Gambler {
    fn outcome(&self, reward: i32) -> Outcome {
        Outcome {
            observation: self.observe().into(),
            reward: reward.into(),
            terminated: self.purse == 0 || self.purse == GOAL,
            truncated: self.is_closing(),
            legal: Some(self.legal_actions().into()),
        }
    }
}

impl Simulator for Gambler {
    fn reset(&mut self, dice: &mut impl Dice) -> Outcome {
        *self = Gambler::initial(dice);
        self.outcome(0)
    }

    fn step(&mut self, action: &Json, dice: &mut impl Dice) -> Result<Outcome, String> {
        let stake: usize = action.narrow()?;
        if self.legal_actions().get(stake) != Some(&true) {
            return Err(format!("cannot stake {stake} of {}", self.purse));
        }
        let before = self.purse;
        *self = self.transition(STAKES[stake], dice);
        Ok(self.outcome(self.purse - before))
    }

    fn snapshot(&self) -> Json {
        object([
            ("purse", self.purse.into()),
            ("round", self.round.into()),
            ("luck", self.luck.into()),
            ("fingerprint", Json::wide(self.fingerprint)),
        ])
    }

    fn restore(&mut self, snapshot: &Json) -> Result<(), String> {
        *self = Gambler {
            purse: snapshot.get("purse")?.narrow()?,
            round: snapshot.get("round")?.narrow()?,
            luck: snapshot.get("luck")?.real()?,
            fingerprint: snapshot.get("fingerprint")?.narrow()?,
        };
        Ok(())
    }
}

fn main() -> Result<(), String> {
    let about = object([
        ("name", "gambler, translated".into()),
        ("version", "1.0.0".into()),
        ("observation", object([("shape", [3].into()), ("dtype", "float32".into())])),
        ("action", object([("n", 4.into())])),
        ("draw_sites", object([("purse", 5.into()), ("toss", 100.into()), ("payout", 3.into())])),
        (
            "snapshot_fields",
            object([
                ("purse", "int32".into()),
                ("round", "int32".into()),
                ("luck", "float64".into()),
                ("fingerprint", "uint64".into()),
            ]),
        ),
        ("forcing", true.into()),
    ]);
    serve(&about, &mut Gambler::default())
}
