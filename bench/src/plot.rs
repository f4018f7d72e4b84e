//! An SVG plot of the ratios: one line per workload, one dot per subject, on a logarithmic scale.

use crate::row::{Quartiles, Row};
use crate::subject::Subject;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Width of the column with the workloads' names, left of the scale.
const LEFT: f64 = 170.0;
const WIDTH: f64 = 620.0;
/// Height of the title and the legend, above the first line.
const TOP: f64 = 84.0;
/// Distance from one workload to the next.
const STEP: f64 = 26.0;

/// Ends of the scale. Ratios beyond them are drawn at the ends.
const LEAST: f64 = 0.001;
const MOST: f64 = 10.0;

/// The palette of Okabe and Ito, which is safe for colour-blind readers.
const COLOURS: [&str; 8] = [
    "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#e69f00", "#000000", "#888888",
];

/// Plots the rows with this number of layers.
pub(crate) fn svg(rows: &[Row], layers: u32) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.layers == layers).collect();
    let subjects: BTreeSet<Subject> = rows.iter().map(|row| row.subject).collect();
    let subjects: Vec<Subject> = subjects.into_iter().collect();
    let mut workloads: Vec<String> = Vec::new();
    for row in &rows {
        let title = row.workload.title();
        if !workloads.contains(&title) {
            workloads.push(title);
        }
    }
    let mut out = String::new();
    let bottom = TOP + STEP * as_f64(workloads.len());
    let (width, height) = (LEFT + WIDTH + 24.0, bottom + 34.0);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"14\">Time over that of wasmtime-wasi on a plain \
         directory; {layers} layers; left is faster</text>"
    );
    legend(&mut out, &subjects);
    scale(&mut out, bottom);
    for (line, workload) in workloads.iter().enumerate() {
        let y = TOP + STEP * (as_f64(line) + 0.5);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{workload}</text>",
            LEFT - 10.0,
            y + 4.0
        );
        for row in rows.iter().filter(|row| row.workload.title() == *workload) {
            let Some(index) = subjects.iter().position(|subject| *subject == row.subject) else {
                continue;
            };
            // The dots of a line are spread over its height, so that none covers another.
            let offset = (as_f64(index) + 0.5) / as_f64(subjects.len()) - 0.5;
            dot(
                &mut out,
                row.ratio(),
                y + offset * STEP * 0.7,
                colour(index),
                &row.label(),
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String, subjects: &[Subject]) {
    let mut x = 16.0;
    for (index, subject) in subjects.iter().enumerate() {
        let name = subject.to_string();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"44\" r=\"4\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"48\">{name}</text>",
            colour(index),
            x + 8.0
        );
        x += 32.0 + 6.6 * as_f64(name.len());
    }
}

fn scale(out: &mut String, bottom: f64) {
    for ratio in [0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 10.0] {
        let x = x_of(ratio);
        let (colour, width) = if ratio == 1.0 {
            ("#000", 1.5)
        } else {
            ("#ddd", 1.0)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" \
             fill=\"#555\">{ratio}</text>",
            TOP - 6.0,
            bottom + 18.0
        );
    }
}

/// Draws a dot at the median and a line between the quartiles.
fn dot(out: &mut String, ratio: Quartiles, y: f64, colour: &str, label: &str) {
    if !ratio.median.is_finite() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<g stroke=\"{colour}\" fill=\"{colour}\"><title>{label}: {:.3}</title>\
         <line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
         <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.5\"/></g>",
        ratio.median,
        x_of(ratio.low),
        x_of(ratio.high),
        x_of(ratio.median)
    );
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// The x coordinate of a ratio.
fn x_of(ratio: f64) -> f64 {
    let fraction = (ratio.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    LEFT + WIDTH * fraction
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{LEFT, WIDTH, svg, x_of};
    use crate::row::tests::row;
    use crate::subject::{COMPARISONS, OVERLAYS};

    #[test]
    fn scale_is_logarithmic() {
        assert!((x_of(0.001) - LEFT).abs() < 1e-9);
        assert!((x_of(10.0) - LEFT - WIDTH).abs() < 1e-9);
        assert!((x_of(1.0) - x_of(0.1) - WIDTH / 4.0).abs() < 1e-9);
        // Ratios beyond the scale are drawn at its ends.
        assert_eq!(x_of(0.0), x_of(0.001));
        assert_eq!(x_of(1e6), x_of(10.0));
    }

    #[test]
    fn every_row_with_these_layers_is_a_dot() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.1),
            row(COMPARISONS[2], "stat", 16, 1.0, 0.2),
            row(OVERLAYS[0], "fstat", 16, 1.0, 0.3),
            row(OVERLAYS[0], "stat", 64, 1.0, 0.9),
        ];
        let text = svg(&rows, 16);
        assert_eq!(text.matches("<title>").count(), 3);
        assert!(text.contains("<title>0.1: stat: 0.100</title>"));
        assert!(text.contains("<title>native: stat: 0.200</title>"));
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert_eq!(text.matches("<g ").count(), text.matches("</g>").count());
    }

    #[test]
    fn row_without_times_has_no_dot() {
        let mut empty = row(OVERLAYS[0], "stat", 16, 1.0, 0.1);
        empty.subject_ns.clear();
        assert!(!svg(&[empty], 16).contains("NaN"));
    }
}
