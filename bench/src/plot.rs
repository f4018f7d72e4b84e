//! An SVG plot for the README: eight workloads, a bar for the plugin in WASI 0.1 and one for the kernel's
//! overlayfs, on a linear scale.

use crate::row::Row;
use crate::subject::{Backend, Version};
use std::fmt;

/// The workloads in the plot, and what a reader who does not know the benchmark calls them.
const WORKLOADS: [(&str, &str); 8] = [
    ("stat", "look up a file"),
    ("missing-stat", "look up a missing name"),
    ("open-read-close", "open, read and close a small file"),
    ("readdir-1000", "list 1,000 names"),
    ("walk", "walk over 20,000 files"),
    ("read", "read a large file"),
    ("create-write-unlink", "create, write and remove a file"),
    ("append-lower", "first append to a file of a layer"),
];

/// The backends, with their colours, from the palette of Okabe and Ito for colour-blind readers.
const BARS: [(Backend, &str, &str); 2] = [
    (Backend::Overlay, "#0072b2", "wasi-overlay"),
    (
        Backend::Kernel,
        "#bbbbbb",
        "stock wasmtime on the kernel's overlayfs",
    ),
];

/// Width of the column with the workloads' names.
const LEFT: f64 = 230.0;
/// Width of the scale.
const WIDTH: f64 = 480.0;
/// The end of the scale. A longer bar is cut there; its number tells.
const MOST: f64 = 5.0;
/// Height of the title and the legend.
const TOP: f64 = 64.0;
/// Height of a workload.
const STEP: f64 = 36.0;
/// Height of a bar.
const BAR: f64 = 13.0;

/// Plots the rows with this number of layers. Workloads that were not measured have no bars.
pub(crate) fn svg(rows: &[Row], layers: u32) -> String {
    let mut out = String::new();
    let mut y = TOP;
    for (workload, name) in WORKLOADS {
        text(&mut out, LEFT - 10.0, y + BAR + 4.0, "end", name);
        for (index, (backend, colour, _)) in BARS.iter().enumerate() {
            let is_bar = |row: &&Row| {
                row.layers == layers
                    && row.subject.backend == *backend
                    && row.subject.version == Version::P1
                    && row.workload.name == workload
            };
            let Some(ratio) = rows.iter().find(is_bar).map(|row| row.ratio().median) else {
                continue;
            };
            if ratio.is_finite() {
                let y = y + if index == 0 { 0.0 } else { BAR + 2.0 };
                bar(&mut out, y, ratio, colour);
            }
        }
        y += STEP;
    }
    let one = LEFT + WIDTH / MOST;
    line(
        &mut out,
        format_args!(
            "<line x1=\"{one}\" y1=\"{}\" x2=\"{one}\" y2=\"{y}\" stroke=\"#000\" stroke-dasharray=\"4 3\"/>",
            TOP - 8.0
        ),
    );
    text(
        &mut out,
        one,
        y + 12.0,
        "middle",
        "1 = stock wasmtime on a plain directory",
    );
    let mut head = String::new();
    for (index, (_, colour, name)) in BARS.iter().enumerate() {
        let x = if index == 0 { LEFT } else { LEFT + 130.0 };
        line(
            &mut head,
            format_args!("<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"),
        );
        text(&mut head, x + 18.0, 44.0, "start", name);
    }
    let (width, height) = (LEFT + WIDTH + 60.0, y + 24.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"14\">Time of a core module on {layers} layers (shorter is \
         faster)</text>\n{head}{out}</svg>\n"
    )
}

fn line(out: &mut String, element: fmt::Arguments<'_>) {
    out.push_str(&element.to_string());
    out.push('\n');
}

fn bar(out: &mut String, y: f64, ratio: f64, colour: &str) {
    let length = WIDTH * ratio.min(MOST) / MOST;
    line(
        out,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
        ),
    );
    let digits = if ratio < 0.1 { 3 } else { 2 };
    let label = format!("{ratio:.digits$}");
    text(out, LEFT + length + 5.0, y + 10.0, "start", &label);
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    line(
        out,
        // The white outline keeps a number apart from the dashed line.
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" stroke=\"#fff\" \
             stroke-width=\"3\" paint-order=\"stroke\">{text}</text>"
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::{WORKLOADS, svg};
    use crate::row::tests::row;
    use crate::subject::OVERLAYS;

    #[test]
    fn bars_are_as_long_as_the_ratios_and_cut_at_the_end_of_the_scale() {
        let rows = [
            row(OVERLAYS[0], "stat", 16, 1.0, 0.5),
            row(OVERLAYS[0], "walk", 16, 1.0, 2.5),
            row(OVERLAYS[0], "read", 16, 1.0, 40.0),
            row(OVERLAYS[0], "stat", 64, 1.0, 0.9),
            row(OVERLAYS[0], "fstat", 16, 1.0, 0.9),
        ];
        let text = svg(&rows, 16);
        for (length, label) in [("48.0", "0.50"), ("240.0", "2.50"), ("480.0", "40.00")] {
            assert!(
                text.contains(&format!("width=\"{length}\" height=\"13\"")),
                "{text}"
            );
            assert!(text.contains(&format!(">{label}</text>")), "{text}");
        }
        assert_eq!(text.matches("height=\"13\"").count(), 3);
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    }

    #[test]
    fn row_without_times_has_no_bar() {
        let mut empty = row(OVERLAYS[0], "stat", 16, 1.0, 0.1);
        empty.subject_ns.clear();
        assert!(!svg(&[empty], 16).contains("height=\"13\""));
    }

    #[test]
    fn every_workload_of_the_plot_exists() {
        for (workload, _) in WORKLOADS {
            assert_eq!(
                row(OVERLAYS[0], workload, 16, 1.0, 1.0).workload.name,
                workload
            );
        }
    }
}
