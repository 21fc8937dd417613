//! Figures and tables of them.

use std::time::Duration;

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let sorted = sorted(figures);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    assert!(!sorted.is_empty(), "a median is of something");
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The median, and the smallest and the largest figure beside it.
pub fn with_range(figures: impl IntoIterator<Item = f64>) -> String {
    let sorted = sorted(figures);
    let (smallest, largest) = (sorted[0], sorted[sorted.len() - 1]);
    format!(
        "{:.2} ({smallest:.2}–{largest:.2})",
        median(sorted.iter().copied())
    )
}

/// A time as a number of milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A number of milliseconds for people.
pub fn ms(time: f64) -> String {
    let digits = if time < 10.0 { 2 } else { 0 };
    format!("{time:.digits$} ms")
}

/// A number of bytes for people.
#[expect(
    clippy::cast_precision_loss,
    reason = "a size is shown with few digits"
)]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A size in MiB for people.
pub fn size(mebibytes: u64) -> String {
    if mebibytes >= 1024 && mebibytes.is_multiple_of(1024) {
        format!("{} GiB", mebibytes / 1024)
    } else {
        format!("{mebibytes} MiB")
    }
}

/// A table in Markdown whose columns are also aligned for those who read it as text.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these headings.
    pub fn new(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned)],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Prints it under a heading.
    pub fn print(&self, heading: &str) {
        println!("### {heading}\n");
        let widths: [usize; N] = std::array::from_fn(|column| {
            let width = |row: &[String; N]| row[column].chars().count();
            self.rows.iter().map(width).max().unwrap_or_default().max(3)
        });
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(widths).enumerate();
            let line: Vec<String> = cells
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            println!("| {} |", line.join(" | "));
            if number == 0 {
                let rules: Vec<String> = (0..)
                    .zip(widths)
                    .map(|(column, width)| match column {
                        0 => "-".repeat(width),
                        _ => "-".repeat(width - 1) + ":",
                    })
                    .collect();
                println!("| {} |", rules.join(" | "));
            }
        }
        println!();
    }
}
