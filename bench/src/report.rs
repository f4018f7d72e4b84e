//! Reports of the measurements: tables for the terminal and for Markdown, and JSON.

use crate::count::Calls;
use crate::row::{Quartiles, Row};
use crate::subject::Subject;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The table for the terminal, one line per row.
pub(crate) fn table(rows: &[Row], timed: bool) -> String {
    let mut lines = vec![vec![
        "subject".to_owned(),
        "workload".to_owned(),
        "layers".to_owned(),
        "calls".to_owned(),
        "baseline calls".to_owned(),
    ]];
    if timed {
        let times = ["ratio", "quartiles", "bound", "time", "baseline time"];
        lines[0].splice(3..3, times.map(str::to_owned));
    }
    for row in rows {
        let cold = if row.cold { " (cold)" } else { "" };
        let mut line = vec![
            row.subject.to_string(),
            format!("{}{cold}", row.workload.name),
            row.layers.to_string(),
        ];
        if timed {
            let ratio = row.ratio();
            line.extend([
                format_ratio(ratio.median),
                format!("{}–{}", format_ratio(ratio.low), format_ratio(ratio.high)),
                row.verdict(),
                format_time(Quartiles::of(&row.subject_ns), row.workload.unit),
                format_time(Quartiles::of(&row.baseline_ns), row.workload.unit),
            ]);
        }
        line.push(format_calls(row.subject_calls.as_ref()));
        line.push(format_calls(row.baseline_calls.as_ref()));
        lines.push(line);
    }
    aligned(&lines)
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let of = lines.iter().map(|line| line[column].chars().count());
        // A long list of calls must not push the other columns apart.
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

/// The tables of `docs/speed.md`: the ratios for each number of layers, one column
/// per subject, and the system calls of core modules.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut out = String::new();
    let layers: BTreeSet<u32> = rows.iter().map(|row| row.layers).collect();
    for layers in layers {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.layers == layers).collect();
        ratios(&mut out, layers, &rows);
        out.push('\n');
    }
    calls(&mut out, rows);
    out
}

/// The distinct workloads, in order, each with whether it ran with `--cold`.
fn workloads(rows: &[&Row]) -> Vec<(String, bool)> {
    let mut workloads = Vec::new();
    for row in rows {
        let workload = (row.workload.title(), row.cold);
        if !workloads.contains(&workload) {
            workloads.push(workload);
        }
    }
    workloads
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
    for (workload, cold) in workloads(rows) {
        let cells: Vec<String> = subjects
            .iter()
            .map(|subject| {
                let mut of = rows.iter();
                let row = of.find(|row| {
                    row.subject == *subject && row.workload.title() == workload && row.cold == cold
                });
                row.map_or("–".to_owned(), |row| {
                    let ratio = row.ratio();
                    let (low, high) = (format_ratio(ratio.low), format_ratio(ratio.high));
                    let target = row.max_ratio().map_or(String::new(), |max| {
                        let sign = if row.missed_bounds().is_empty() {
                            "≤"
                        } else {
                            "not ≤"
                        };
                        format!("; {sign} {max}")
                    });
                    format!("{} ({low}–{high}{target})", format_ratio(ratio.median))
                })
            })
            .collect();
        let cold = if cold { ", cold" } else { "" };
        writeln!(out, "| {workload}{cold} | {} |", cells.join(" | ")).unwrap_or_default();
    }
}

fn calls(out: &mut String, rows: &[Row]) {
    let counted = |row: &&Row| row.subject_calls.is_some() && row.subject.to_string() == "0.1";
    let rows: Vec<&Row> = rows.iter().filter(counted).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("| system calls | stock, plain directory | overlay |\n|---|---|---|\n");
    let first = rows[0].layers;
    for row in rows.iter().filter(|row| row.layers == first) {
        let line = format!(
            "| {}, a {} | {} | {} |",
            row.workload.name,
            row.workload.unit,
            format_calls(row.baseline_calls.as_ref()),
            format_calls(row.subject_calls.as_ref())
        );
        writeln!(out, "{line}").unwrap_or_default();
    }
}

/// The measurements for other programs.
pub(crate) fn json(rows: &[Row], pairs: u32) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject.to_string(),
                "workload": row.workload.name,
                "layers": row.layers,
                "cold": row.cold || !row.workload.warm,
                "unit": row.workload.unit,
                "baseline": row.workload.baseline.name(),
                "baseline_ns": Quartiles::of(&row.baseline_ns).json(),
                "ns": Quartiles::of(&row.subject_ns).json(),
                "ratio": row.ratio().json(),
                "max_ratio": row.max_ratio(),
                "baseline_calls": row.baseline_calls,
                "calls": row.subject_calls,
            })
        })
        .collect();
    json!({
        "pairs": pairs,
        "debug_assertions": cfg!(debug_assertions),
        "rows": rows,
    })
}

/// Formats a ratio with two or three significant digits.
fn format_ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.1 => format!("{ratio:.3}"),
        ratio if ratio < 10.0 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.0}"),
    }
}

fn format_time(quartiles: Quartiles, unit: &str) -> String {
    let micros = quartiles.median / 1000.0;
    let half = (quartiles.high - quartiles.low) / 2000.0;
    format!("{micros:.2} ± {half:.2} µs per {unit}")
}

fn format_calls(calls: Option<&Calls>) -> String {
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
    use super::{format_ratio, markdown, table};
    use crate::row::tests::row;
    use crate::subject::{COMPARISONS, OVERLAYS};

    #[test]
    fn markdown_has_one_column_per_subject_and_flags_missed_bounds() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.05),
            row(OVERLAYS[0], "fstat", 16, 1.0, 2.0),
            row(COMPARISONS[2], "stat", 16, 1.0, 0.25),
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
    fn terminal_table_aligns_its_columns() {
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
    fn small_ratios_keep_three_digits() {
        assert_eq!(format_ratio(0.0051), "0.005");
        assert_eq!(format_ratio(0.51), "0.51");
        assert_eq!(format_ratio(123.4), "123");
    }
}
