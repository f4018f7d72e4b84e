//! The ratios as a picture: a line a work, a dot a subject, on a logarithmic scale.

use crate::row::{Row, Spread};
use crate::subject::Subject;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Where the works' names end and the scale begins.
const LEFT: f64 = 170.0;
const WIDTH: f64 = 620.0;
/// Above the first line: the title and what the colours mean.
const TOP: f64 = 84.0;
/// From one work to the next.
const STEP: f64 = 26.0;

/// The scale ends at these; what lies beyond is drawn at the end.
const LEAST: f64 = 0.001;
const MOST: f64 = 10.0;

/// Okabe and Ito's colours, which those who see fewer can tell apart.
const COLOURS: [&str; 8] = [
    "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#e69f00", "#000000", "#888888",
];

/// Draws rows of one number of layers.
pub(crate) fn svg(rows: &[Row], layers: u32) -> String {
    let is_drawn = |row: &&Row| row.layers == layers && !row.subject.side.is_floor();
    let rows: Vec<&Row> = rows.iter().filter(is_drawn).collect();
    let subjects: BTreeSet<Subject> = rows.iter().map(|row| row.subject).collect();
    let subjects: Vec<Subject> = subjects.into_iter().collect();
    let mut works: Vec<String> = Vec::new();
    for row in &rows {
        let title = row.work.title();
        if !works.contains(&title) {
            works.push(title);
        }
    }
    let mut out = String::new();
    let bottom = TOP + STEP * count(works.len());
    let (width, height) = (LEFT + WIDTH + 24.0, bottom + 34.0);
    // A string takes all that is written to it.
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
    for (line, work) in works.iter().enumerate() {
        let y = TOP + STEP * (count(line) + 0.5);
        // A string takes all that is written to it.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{work}</text>",
            LEFT - 10.0,
            y + 4.0
        );
        for row in rows.iter().filter(|row| row.work.title() == *work) {
            let Some(index) = subjects.iter().position(|subject| *subject == row.subject) else {
                continue;
            };
            // Side by side within the line, so that none covers another.
            let share = (count(index) + 0.5) / count(subjects.len()) - 0.5;
            dot(
                &mut out,
                row.ratio(),
                y + share * STEP * 0.7,
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
        // A string takes all that is written to it.
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"44\" r=\"4\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"48\">{name}</text>",
            colour(index),
            x + 8.0
        );
        x += 32.0 + 6.6 * count(name.len());
    }
}

fn scale(out: &mut String, bottom: f64) {
    for ratio in [0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 10.0] {
        let x = place(ratio);
        let (colour, width) = if ratio == 1.0 {
            ("#000", 1.5)
        } else {
            ("#ddd", 1.0)
        };
        // A string takes all that is written to it.
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

/// A dot at the median, and a line from quarter to quarter.
fn dot(out: &mut String, ratio: Spread, y: f64, colour: &str, label: &str) {
    if !ratio.median.is_finite() {
        return;
    }
    // A string takes all that is written to it.
    let _ = writeln!(
        out,
        "<g stroke=\"{colour}\" fill=\"{colour}\"><title>{label}: {:.3}</title>\
         <line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
         <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.5\"/></g>",
        ratio.median,
        place(ratio.low),
        place(ratio.high),
        place(ratio.median)
    );
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Where a ratio is drawn.
fn place(ratio: f64) -> f64 {
    let share = (ratio.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    LEFT + WIDTH * share
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{LEFT, WIDTH, place, svg};
    use crate::row::tests::row;
    use crate::subject::{OTHERS, OVERLAYS};

    #[test]
    fn ten_times_as_much_is_one_step_to_the_right() {
        assert!((place(0.001) - LEFT).abs() < 1e-9);
        assert!((place(10.0) - LEFT - WIDTH).abs() < 1e-9);
        assert!((place(1.0) - place(0.1) - WIDTH / 4.0).abs() < 1e-9);
        // What is off the scale stays on the picture.
        assert_eq!(place(0.0), place(0.001));
        assert_eq!(place(1e6), place(10.0));
    }

    #[test]
    fn every_row_of_those_layers_is_a_dot_of_its_subject() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.1),
            row(OTHERS[2], "stat", 16, 1.0, 0.2),
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
    fn a_row_without_times_is_no_dot() {
        let mut empty = row(OVERLAYS[0], "stat", 16, 1.0, 0.1);
        empty.ours.clear();
        assert!(!svg(&[empty], 16).contains("NaN"));
    }
}
