//! Tables for people: columns that are as wide as their widest cell.

/// The rows, each a line.
pub(crate) fn text<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned() {
        let rows = [["A", "LONG"], ["longer", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::text(&rows), "A       LONG\nlonger  x\n");
    }
}
