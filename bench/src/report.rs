//! What was measured, as tables and as JSON.

use crate::count::Calls;
use crate::row::{Row, Spread};
use crate::subject::{Subject, Version};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The table for terminals: a line a row.
pub(crate) fn table(rows: &[Row], timed: bool) -> String {
    let mut lines = vec![vec![
        "guest".to_owned(),
        "work".to_owned(),
        "layers".to_owned(),
        "calls".to_owned(),
        "peer's calls".to_owned(),
    ]];
    if timed {
        let times = ["ratio", "quartiles", "target", "took", "peer took"];
        lines[0].splice(3..3, times.map(str::to_owned));
    }
    for row in rows {
        let cold = if row.cold { " (cold)" } else { "" };
        let mut line = vec![
            row.subject.to_string(),
            format!("{}{cold}", row.work.name),
            row.layers.to_string(),
        ];
        if timed {
            let ratio = row.ratio();
            line.extend([
                short(ratio.median),
                format!("{}–{}", short(ratio.low), short(ratio.high)),
                row.verdict(),
                time(Spread::of(&row.ours), row.work.unit),
                time(Spread::of(&row.stock), row.work.unit),
            ]);
        }
        line.push(spell(row.ours_calls.as_ref()));
        line.push(spell(row.stock_calls.as_ref()));
        lines.push(line);
    }
    aligned(&lines)
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let of = lines.iter().map(|line| line[column].chars().count());
        // A list of many calls is not worth that the others stand far away.
        of.max().unwrap_or(0).min(44)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        // Writing to a string cannot fail.
        writeln!(out, "{}", line.join("  ").trim_end()).unwrap_or_default();
    }
    out
}

/// The README's tables: for each number of layers the ratios, a column a subject; then those of the
/// floors, and the calls of core modules.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut out = String::new();
    let layers: BTreeSet<u32> = rows.iter().map(|row| row.layers).collect();
    for layers in layers {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.layers == layers).collect();
        let floor = |row: &&Row| row.subject.side.is_floor();
        let (floors, rows) = rows.into_iter().partition::<Vec<_>, _>(floor);
        ratios(&mut out, layers, &rows);
        out.push('\n');
        beside_floors(&mut out, &rows, &floors);
    }
    calls(&mut out, rows);
    out
}

/// The works in their order, each once.
fn works(rows: &[&Row]) -> Vec<(String, bool)> {
    let mut works = Vec::new();
    for row in rows {
        let work = (row.work.title(), row.cold);
        if !works.contains(&work) {
            works.push(work);
        }
    }
    works
}

fn ratios(out: &mut String, layers: u32, rows: &[&Row]) {
    let subjects: BTreeSet<Subject> = rows.iter().map(|row| row.subject).collect();
    let heads: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    let rule = "---|".repeat(subjects.len());
    let layers = match layers {
        1 => "1 layer".to_owned(),
        layers => format!("{layers} layers"),
    };
    writeln!(out, "| {layers} | {} |\n|---|{rule}", heads.join(" | ")).unwrap_or_default();
    for (work, cold) in works(rows) {
        let cells: Vec<String> = subjects
            .iter()
            .map(|subject| {
                let mut of = rows.iter();
                let row = of.find(|row| {
                    row.subject == *subject && row.work.title() == work && row.cold == cold
                });
                row.map_or("–".to_owned(), |row| {
                    let ratio = row.ratio();
                    let (low, high) = (short(ratio.low), short(ratio.high));
                    let target = row.most_ratio().map_or(String::new(), |most| {
                        let sign = if row.misses().is_empty() {
                            "≤"
                        } else {
                            "not ≤"
                        };
                        format!("; {sign} {most}")
                    });
                    format!("{} ({low}–{high}{target})", short(ratio.median))
                })
            })
            .collect();
        let cold = if cold { ", cold" } else { "" };
        writeln!(out, "| {work}{cold} | {} |", cells.join(" | ")).unwrap_or_default();
    }
}

/// What the plugin takes, and beside it a host whose every answer is a constant; what a composed
/// component takes, and beside it one that has nothing in the place of the overlay.
fn beside_floors(out: &mut String, rows: &[&Row], floors: &[&Row]) {
    if floors.is_empty() {
        return;
    }
    out.push_str("| ours; floor | 0.1 | 0.2 | 0.3 |\n|---|---|---|---|\n");
    for (work, _) in works(floors) {
        let cells = Version::ALL.map(|version| {
            let is = |row: &&&Row| row.subject.version == version && row.work.title() == work;
            let of_floor = floors.iter().find(is).and_then(|floor| {
                let is_over = |row: &&&Row| row.subject.side.floor() == Some(floor.subject.side);
                let ours = rows.iter().filter(is).find(is_over)?;
                let (ours, floor) = (ours.ratio().median, floor.ratio().median);
                Some(format!("{}; {}", short(ours), short(floor)))
            });
            of_floor.unwrap_or("–".to_owned())
        });
        writeln!(out, "| {work} | {} |", cells.join(" | ")).unwrap_or_default();
    }
    out.push('\n');
}

fn calls(out: &mut String, rows: &[Row]) {
    let counted = |row: &&Row| row.ours_calls.is_some() && row.subject.to_string() == "0.1";
    let rows: Vec<&Row> = rows.iter().filter(counted).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("| system calls | stock, plain directory | overlay |\n|---|---|---|\n");
    let first = rows[0].layers;
    for row in rows.iter().filter(|row| row.layers == first) {
        let line = format!(
            "| {}, a {} | {} | {} |",
            row.work.name,
            row.work.unit,
            spell(row.stock_calls.as_ref()),
            spell(row.ours_calls.as_ref())
        );
        writeln!(out, "{line}").unwrap_or_default();
    }
}

/// The same for programs.
pub(crate) fn json(rows: &[Row], pairs: u32) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject.to_string(),
                "work": row.work.name,
                "layers": row.layers,
                "cold": row.cold || !row.work.warm,
                "unit": row.work.unit,
                "peer": row.work.peer.name(),
                "peer_ns": Spread::of(&row.stock).json(),
                "ns": Spread::of(&row.ours).json(),
                "ratio": row.ratio().json(),
                "most_ratio": row.most_ratio(),
                "peer_calls": row.stock_calls,
                "calls": row.ours_calls,
            })
        })
        .collect();
    json!({
        "pairs": pairs,
        "debug_assertions": cfg!(debug_assertions),
        "rows": rows,
    })
}

/// A ratio with as many digits as it deserves.
fn short(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.1 => format!("{ratio:.3}"),
        ratio if ratio < 10.0 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.0}"),
    }
}

fn time(spread: Spread, unit: &str) -> String {
    let micros = spread.median / 1000.0;
    let half = (spread.high - spread.low) / 2000.0;
    format!("{micros:.2} ± {half:.2} µs a {unit}")
}

fn spell(calls: Option<&Calls>) -> String {
    let Some(calls) = calls else {
        return "–".to_owned();
    };
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
    use super::{markdown, short, table};
    use crate::row::tests::row;
    use crate::subject::{OTHERS, OVERLAYS, Side};

    #[test]
    fn the_markdown_has_a_column_a_subject_and_says_what_is_missed() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.05),
            row(OVERLAYS[0], "fstat", 16, 1.0, 2.0),
            row(OTHERS[2], "stat", 16, 1.0, 0.25),
        ];
        let text = markdown(&rows);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("| 16 layers | 0.1 | native |"));
        assert_eq!(lines.next(), Some("|---|---|---|"));
        let stat = "| stat | 0.050 (0.050–0.050; ≤ 0.1) | 0.25 (0.25–0.25) |";
        assert_eq!(lines.next(), Some(stat));
        let fstat = "| fstat | 2.00 (2.00–2.00; not ≤ 1) | – |";
        assert_eq!(lines.next(), Some(fstat));
    }

    #[test]
    fn constants_stand_beside_what_they_are_the_floor_of() {
        let constant = OVERLAYS[1].on(Side::Constant);
        let rows = [
            row(OVERLAYS[1], "stat", 16, 1.0, 0.5),
            row(constant, "stat", 16, 1.0, 0.25),
            row(OVERLAYS[3], "instantiate", 16, 1.0, 3.0),
            row(OVERLAYS[3].on(Side::Hollow), "instantiate", 16, 1.0, 2.0),
        ];
        let text = markdown(&rows);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("| 16 layers | 0.2 | 0.2 composed |"));
        let mut lines = lines.skip_while(|line| !line.starts_with("| ours; floor |"));
        assert_eq!(lines.next(), Some("| ours; floor | 0.1 | 0.2 | 0.3 |"));
        assert_eq!(lines.nth(1), Some("| stat | – | 0.50; 0.25 | – |"));
        assert_eq!(lines.next(), Some("| instantiate | – | 3.00; 2.00 | – |"));
    }

    #[test]
    fn columns_of_the_terminal_stand_below_one_another() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.05),
            row(OVERLAYS[3], "create-write-unlink", 16, 1.0, 0.05),
        ];
        let text = table(&rows, true);
        let at = |line: &str, word: &str| line.find(word).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(at(lines[0], "layers"), at(lines[1], "16"));
        assert_eq!(at(lines[0], "layers"), at(lines[2], "16"));
    }

    #[test]
    fn small_ratios_keep_their_digits() {
        assert_eq!(short(0.0051), "0.005");
        assert_eq!(short(0.51), "0.51");
        assert_eq!(short(123.4), "123");
    }
}
