//! The program's side of the line protocol, with the standard library alone: JSON, the tape of
//! draws, and `serve`. Copy this file into `src/`; references/README.md says what is spoken.

use std::fmt;
use std::io::{self, BufRead, Write};

// -- JSON

/// A value of JSON. Numbers are kept as they are written, so that none loses a digit.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value that is the whole text.
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(format!("more than one value: {:.40}", reader.rest))
        }
    }

    pub fn get(&self, name: &str) -> Result<&Json, String> {
        let found = match self {
            Json::Object(entries) => entries.iter().find(|(key, _)| key == name),
            _ => None,
        };
        found.map(|(_, value)| value).ok_or(format!("there is no {name:?}"))
    }

    /// A whole number or a boolean; integers of 64 bits are decimal strings.
    pub fn integer(&self) -> Result<i128, String> {
        match self {
            Json::Bool(value) => Ok(i128::from(*value)),
            Json::Number(word) | Json::Text(word) => {
                word.parse().map_err(|_| format!("{word:?} is no whole number"))
            }
            _ => Err(format!("{self} is no whole number")),
        }
    }

    /// A whole number in the range of its type, such as `u8`.
    pub fn narrow<T: TryFrom<i128>>(&self) -> Result<T, String> {
        T::try_from(self.integer()?).map_err(|_| format!("{self} is out of range"))
    }

    /// A real number; NaN, infinities and -0 are strings.
    pub fn real(&self) -> Result<f64, String> {
        match self {
            Json::Number(word) | Json::Text(word) => {
                word.parse().map_err(|_| format!("{word:?} is no number"))
            }
            _ => Err(format!("{self} is no number")),
        }
    }

    pub fn list(&self) -> Result<&[Json], String> {
        match self {
            Json::List(values) => Ok(values),
            _ => Err(format!("{self} is no list")),
        }
    }

    /// An integer of 64 bits.
    pub fn wide(value: impl ToString) -> Json {
        Json::Text(value.to_string())
    }
}

/// An object out of its names and values.
pub fn object<const N: usize>(entries: [(&str, Json); N]) -> Json {
    Json::Object(entries.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

macro_rules! from_integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Json {
            fn from(value: $kind) -> Json {
                Json::Number(value.to_string())
            }
        }
    )*};
}
from_integers!(i8, u8, i16, u16, i32, u32);

impl From<f64> for Json {
    fn from(value: f64) -> Json {
        if value.is_nan() {
            Json::Text("NaN".into())
        } else if value.is_infinite() {
            Json::Text(if value > 0.0 { "Infinity" } else { "-Infinity" }.into())
        } else {
            Json::Number(format!("{value:?}")) // all digits that it takes
        }
    }
}

impl From<f32> for Json {
    fn from(value: f32) -> Json {
        f64::from(value).into()
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::Text(value.to_string())
    }
}

impl<T: Clone + Into<Json>, const N: usize> From<[T; N]> for Json {
    fn from(values: [T; N]) -> Json {
        Json::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Json>> From<&[T]> for Json {
    fn from(values: &[T]) -> Json {
        Json::List(values.iter().cloned().map(Into::into).collect())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => write!(to, "null"),
            Json::Bool(value) => write!(to, "{value}"),
            Json::Number(word) => write!(to, "{word}"),
            Json::Text(text) => quote(to, text),
            Json::List(values) => {
                write!(to, "[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(to, "{}{value}", if i > 0 { "," } else { "" })?;
                }
                write!(to, "]")
            }
            Json::Object(entries) => {
                write!(to, "{{")?;
                for (i, (name, value)) in entries.iter().enumerate() {
                    write!(to, "{}", if i > 0 { "," } else { "" })?;
                    quote(to, name)?;
                    write!(to, ":{value}")?;
                }
                write!(to, "}}")
            }
        }
    }
}

fn quote(to: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(to, "\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(to, "\\{c}")?,
            c if u32::from(c) < 0x20 => write!(to, "\\u{:04x}", u32::from(c))?,
            c => write!(to, "{c}")?,
        }
    }
    write!(to, "\"")
}

const DEEPEST: usize = 64;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.rest.strip_prefix(word);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEEPEST {
            return Err("nested too deep".into());
        }
        for (word, value) in
            [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
        {
            if self.take(word) {
                return Ok(value);
            }
        }
        if self.take("[") {
            let mut values = Vec::new();
            while !self.take("]") {
                if !values.is_empty() && !self.take(",") {
                    return Err(format!("no comma: {:.40}", self.rest));
                }
                values.push(self.value(depth + 1)?);
            }
            return Ok(Json::List(values));
        }
        if self.take("{") {
            let mut entries = Vec::new();
            while !self.take("}") {
                if !entries.is_empty() && !self.take(",") {
                    return Err(format!("no comma: {:.40}", self.rest));
                }
                let name = self.text()?;
                if !self.take(":") {
                    return Err(format!("no colon: {:.40}", self.rest));
                }
                entries.push((name, self.value(depth + 1)?));
            }
            return Ok(Json::Object(entries));
        }
        if self.rest.starts_with('"') {
            return Ok(Json::Text(self.text()?));
        }
        let end = self.rest.find(|c: char| !"+-.eE0123456789".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        word.parse::<f64>().map_err(|_| format!("no JSON: {:.40}", self.rest))?;
        self.rest = rest;
        Ok(Json::Number(word.to_string()))
    }

    fn text(&mut self) -> Result<String, String> {
        if !self.take("\"") {
            return Err(format!("no string: {:.40}", self.rest));
        }
        let mut units: Vec<u16> = Vec::new(); // escapes are UTF-16, in pairs beyond 0xffff
        let mut chars = self.rest.chars();
        loop {
            match chars.next().ok_or("a string without an end")? {
                '"' => break,
                '\\' => units.push(match chars.next().ok_or("a string without an end")? {
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        u16::from_str_radix(&digits, 16).map_err(|_| "no \\u escape")?
                    }
                    'b' => 8,
                    't' => 9,
                    'n' => 10,
                    'f' => 12,
                    'r' => 13,
                    c @ ('"' | '\\' | '/') => c as u16,
                    c => return Err(format!("no escape: \\{c}")),
                }),
                c => units.extend(c.encode_utf16(&mut [0; 2]).iter()),
            }
        }
        self.rest = chars.as_str();
        String::from_utf16(&units).map_err(|_| "half a character".into())
    }
}

// -- draws

/// Where all random numbers come from: integers below a bound, at a named place.
pub trait Dice {
    fn draw(&mut self, site: &'static str, bound: u128) -> u64;
}

/// Steele, Lea and Flood's SplitMix64, for what plays without a tape.
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

impl Dice for SplitMix {
    fn draw(&mut self, _site: &'static str, bound: u128) -> u64 {
        let all = 1u128 << 64;
        let bound = bound.clamp(1, all);
        loop {
            let value = u128::from(self.next());
            if value < all - all % bound {
                return (value % bound) as u64; // below 2^64, as it was
            }
        }
    }
}

/// Draws off the judge's tape where there is one, else fresh ones; all are logged.
struct Tape {
    own: SplitMix,
    given: Option<Vec<(String, u128, u64)>>,
    log: Vec<(&'static str, u128, u64)>,
    misfit: Option<(&'static str, String)>,
}

impl Tape {
    /// Before each reset and step.
    fn begin(&mut self, request: &Json) -> Result<(), String> {
        self.given = request.get("tape").ok().map(read_tape).transpose()?;
        self.log.clear();
        self.misfit = None;
        Ok(())
    }
}

fn read_tape(tape: &Json) -> Result<Vec<(String, u128, u64)>, String> {
    let mut draws = Vec::new();
    for draw in tape.list()? {
        match draw.list()? {
            [Json::Text(site), bound, value] => {
                draws.push((site.clone(), bound.narrow()?, value.narrow()?));
            }
            _ => return Err(format!("{draw} is no draw")),
        }
    }
    Ok(draws)
}

impl Dice for Tape {
    fn draw(&mut self, site: &'static str, bound: u128) -> u64 {
        let value = match &self.given {
            None => self.own.draw(site, bound),
            Some(tape) => match tape.get(self.log.len()) {
                Some((name, due, value)) if name == site && *due == bound => *value,
                held => {
                    let held =
                        held.map_or("nothing".into(), |(name, b, _)| format!("{name} below {b}"));
                    let words = format!("wants a draw below {bound}, the tape holds {held}");
                    self.misfit.get_or_insert((site, words));
                    0 // the step is refused when it is over
                }
            },
        };
        self.log.push((site, bound, value));
        value
    }
}

// -- the protocol

/// What a step or a reset shows. legal: always there, or never.
pub struct Outcome {
    pub observation: Json,
    pub reward: f64,
    pub terminated: bool,
    pub truncated: bool,
    pub legal: Option<Json>,
}

/// What is served: one instance.
pub trait Simulator {
    fn reset(&mut self, dice: &mut impl Dice) -> Outcome;
    /// Err: why the action is refused; nothing was changed then.
    fn step(&mut self, action: &Json, dice: &mut impl Dice) -> Result<Outcome, String>;
    fn snapshot(&self) -> Json;
    /// Err: why this is no snapshot.
    fn restore(&mut self, snapshot: &Json) -> Result<(), String>;
}

/// Answer standard input, line by line, until it ends. about: the answer to `hello`, less the
/// protocol. Err: what ended it, a line that is no request.
pub fn serve(about: &Json, simulator: &mut impl Simulator) -> Result<(), String> {
    let mut tape = Tape { own: SplitMix(0), given: None, log: Vec::new(), misfit: None };
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let request = Json::parse(&line.map_err(|error| error.to_string())?)?;
        let mut answer = vec![("id".to_string(), request.get("id")?.clone())];
        answer.extend(answered(about, simulator, &mut tape, &request)?);
        writeln!(output, "{}", Json::Object(answer))
            .and_then(|()| output.flush())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

type Entries = Vec<(String, Json)>;

fn answered(
    about: &Json,
    simulator: &mut impl Simulator,
    tape: &mut Tape,
    request: &Json,
) -> Result<Entries, String> {
    let Json::Text(verb) = request.get("verb")? else {
        return Err("the verb is no string".into());
    };
    let outcome = match verb.as_str() {
        "hello" => {
            let Json::Object(mut entries) = about.clone() else {
                return Err("`about` is no object".into());
            };
            entries.push(("protocol".to_string(), 1.into()));
            return Ok(entries);
        }
        "snapshot" => return Ok(vec![("snapshot".to_string(), simulator.snapshot())]),
        "restore" => {
            let restored = simulator.restore(request.get("snapshot")?);
            return Ok(restored.err().map_or(vec![], |why| refusal("snapshot", &why, "")));
        }
        "reset" => {
            tape.begin(request)?;
            tape.own = SplitMix(request.get("seed")?.narrow()?);
            simulator.reset(tape)
        }
        "step" => {
            tape.begin(request)?;
            match simulator.step(request.get("action")?, tape) {
                Ok(outcome) => outcome,
                Err(why) => return Ok(refusal("action", &why, "")),
            }
        }
        _ => return Err(format!("{verb:?} is no verb")),
    };
    if let Some((site, why)) = &tape.misfit {
        return Ok(refusal("tape", why, site));
    }
    let draws = tape.log.iter().map(|(site, bound, value)| {
        Json::List(vec![(*site).into(), Json::wide(bound), Json::wide(value)])
    });
    let mut entries = vec![
        ("observation".to_string(), outcome.observation),
        ("reward".to_string(), outcome.reward.into()),
        ("terminated".to_string(), outcome.terminated.into()),
        ("truncated".to_string(), outcome.truncated.into()),
        ("draws".to_string(), Json::List(draws.collect())),
    ];
    entries.extend(outcome.legal.map(|legal| ("legal".to_string(), legal)));
    Ok(entries)
}

fn refusal(kind: &str, message: &str, site: &str) -> Entries {
    let error = object([("kind", kind.into()), ("message", message.into()), ("site", site.into())]);
    vec![("error".to_string(), error)]
}
