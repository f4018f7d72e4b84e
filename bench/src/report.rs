//! What was measured, as a table and as JSON.

use crate::count::Calls;
use crate::runner::{Side, Version};
use crate::work::Work;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A ratio up to this times what is allowed is chance: shared machines are not steadier.
pub(crate) const EQUAL: f64 = 1.15;

/// What one work of one WASI version took.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) version: Version,
    pub(crate) work: &'static Work,
    /// What stock is compared with.
    pub(crate) side: Side,
    /// Nanoseconds a unit, one for each pair; those at the same index ran back to back.
    pub(crate) stock: Vec<f64>,
    pub(crate) ours: Vec<f64>,
    pub(crate) stock_calls: Calls,
    pub(crate) ours_calls: Calls,
}

/// The middle of some numbers, and the quarters below and above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of `values`; of none, not a number.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |numerator: usize| {
            let Some(last) = sorted.len().checked_sub(1) else {
                return f64::NAN;
            };
            // Between two values, halfway is near enough.
            let low = sorted[last * numerator / 4];
            let high = sorted[(last * numerator).div_ceil(4)];
            f64::midpoint(low, high)
        };
        Self {
            low: at(1),
            median: at(2),
            high: at(3),
        }
    }

    fn json(self) -> Value {
        json!({ "quarter": self.low, "median": self.median, "three_quarters": self.high })
    }
}

impl Row {
    /// Nothing measured yet.
    pub(crate) fn new(version: Version, side: Side, work: &'static Work) -> Self {
        Self {
            version,
            work,
            side,
            stock: Vec::new(),
            ours: Vec::new(),
            stock_calls: Calls::new(),
            ours_calls: Calls::new(),
        }
    }

    /// The guest and the work.
    pub(crate) fn label(&self) -> String {
        format!("{}: {}", self.guest(), self.work.name)
    }

    fn guest(&self) -> String {
        match self.side {
            Side::Composed => format!("{} composed", self.version.name()),
            Side::Stock | Side::Overlay | Side::Live => self.version.name().to_owned(),
        }
    }

    /// Our time over stock's, pair by pair.
    pub(crate) fn ratio(&self) -> Spread {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.stock)
            .map(|(ours, stock)| ours / stock)
            .collect();
        Spread::of(&ratios)
    }

    /// How many times as long as stock it may take; none if nothing was promised.
    fn most_ratio(&self) -> Option<f64> {
        match self.side {
            Side::Composed => self.work.composed_ratio,
            Side::Stock | Side::Overlay | Side::Live => Some(1.0),
        }
    }

    /// Whether ours takes longer than it may by more than chance.
    pub(crate) fn is_slower(&self) -> bool {
        let ratio = self.ratio().median;
        self.most_ratio().is_some_and(|most| ratio > most * EQUAL)
    }

    fn verdict(&self) -> String {
        let ratio = self.ratio().median;
        match self.most_ratio() {
            None => "no bound".to_owned(),
            Some(1.0) if ratio < 1.0 / EQUAL => "faster".to_owned(),
            Some(1.0) if ratio <= EQUAL => "equal".to_owned(),
            Some(1.0) => "slower".to_owned(),
            Some(most) if ratio <= most => format!("at most {most}"),
            Some(most) if ratio <= most * EQUAL => format!("about {most}"),
            Some(most) => format!("more than {most}"),
        }
    }

    /// Why the system calls are too many; none if they are not.
    pub(crate) fn excess(&self) -> Option<String> {
        let stock = total(&self.stock_calls);
        let ours = total(&self.ours_calls);
        // What is left of chance after the difference of two runs.
        let slack = 0.05 + stock * 0.02;
        let most = match self.side {
            Side::Overlay => self.work.plugin_calls.min(stock),
            Side::Composed => self.work.composed_calls,
            Side::Live | Side::Stock => stock,
        };
        let bound = most + slack;
        (ours > bound).then(|| {
            format!(
                "{}: {ours:.2} system calls a {}, more than {bound:.2} (stock {stock:.2}): {}",
                self.label(),
                self.work.unit,
                spell(&self.ours_calls),
            )
        })
    }
}

/// The table.
pub(crate) fn table(rows: &[Row], timed: bool) -> String {
    let ours = rows.first().map_or("ours", |row| row.side.name());
    let (times, rule) = match timed {
        true => (format!("| stock | {ours} | ratio | "), "|---|---|---|---"),
        false => (String::new(), ""),
    };
    let mut out = format!(
        "| guest | work {times}| calls: stock | calls: {ours} |\n|---|---{rule}|---|---|\n"
    );
    for row in rows {
        let head = format!("| {} | {} ", row.guest(), row.work.name);
        let calls = format!(
            "| {} | {} |",
            spell(&row.stock_calls),
            spell(&row.ours_calls)
        );
        let times = if timed {
            let ratio = row.ratio();
            format!(
                "| {} | {} | {:.2} ({:.2}–{:.2}) | {} ",
                time(Spread::of(&row.stock), row.work.unit),
                time(Spread::of(&row.ours), row.work.unit),
                ratio.median,
                ratio.low,
                ratio.high,
                row.verdict(),
            )
        } else {
            String::new()
        };
        // Writing to a string cannot fail.
        writeln!(out, "{head}{times}{calls}").unwrap_or_default();
    }
    out
}

/// The same for programs.
pub(crate) fn json(rows: &[Row], pairs: u32) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "guest": row.guest(),
                "work": row.work.name,
                "unit": row.work.unit,
                "stock_ns": Spread::of(&row.stock).json(),
                "ours": row.side.name(),
                "ours_ns": Spread::of(&row.ours).json(),
                "ratio": row.ratio().json(),
                "stock_calls": row.stock_calls,
                "ours_calls": row.ours_calls,
            })
        })
        .collect();
    json!({
        "pairs": pairs,
        "lower_layers": crate::trees::LAYERS,
        "debug_assertions": cfg!(debug_assertions),
        "rows": rows,
    })
}

fn time(spread: Spread, unit: &str) -> String {
    let micros = spread.median / 1000.0;
    let half = (spread.high - spread.low) / 2000.0;
    format!("{micros:.2} ± {half:.2} µs a {unit}")
}

fn total(calls: &Calls) -> f64 {
    calls.values().sum()
}

fn spell(calls: &Calls) -> String {
    if calls.is_empty() {
        return "none".to_owned();
    }
    let mut sorted: Vec<_> = calls.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(a.1));
    let words: Vec<String> = sorted
        .iter()
        .map(|(name, each)| match each {
            each if (**each - each.round()).abs() < 0.05 => format!("{} {name}", each.round()),
            each => format!("{each:.2} {name}"),
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_has_its_quarters() {
        let spread = Spread::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
        assert_eq!(Spread::of(&[1.0, 2.0]).median, 1.5);
        assert!(Spread::of(&[]).median.is_nan());
    }
}
