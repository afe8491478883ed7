//! Measured values beside what they should be, as the rows of a table.

use std::fs;

/// The table; a row is printed as soon as its values are there.
pub(crate) struct Table {
    met: u32,
    missed: u32,
}

/// One figure and the most it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The target; `None` where there is none.
    pub(crate) most: Option<f64>,
    /// Digits behind the point.
    pub(crate) digits: usize,
}

impl Table {
    /// Prints the head.
    pub(crate) fn begin(runs: u32) -> Self {
        println!("{}, load {} at the start, {runs} runs each\n", machine(), load());
        println!("| figure | median | from … to | target | | load |\n|---|---|---|---|---|---|");
        Self { met: 0, missed: 0 }
    }

    /// Prints a figure's row.
    pub(crate) fn row(&mut self, figure: Figure, values: &[f64]) {
        let Figure { what, unit, most, digits } = figure;
        let sorted = sorted(values);
        let middle = quantile(&sorted, 0.5);
        let (least, greatest) = (quantile(&sorted, 0.0), quantile(&sorted, 1.0));
        let target = most.map(|most| format!("≤ {most} {unit}")).unwrap_or_default();
        let verdict = match most {
            Some(most) if middle <= most => {
                self.met += 1;
                "met"
            }
            Some(_) => {
                self.missed += 1;
                "MISSED"
            }
            None => "",
        };
        println!(
            "| {what} | **{middle:.digits$} {unit}** | {least:.digits$} … {greatest:.digits$} | {target} | {verdict} | {} |",
            load()
        );
    }

    /// Prints the foot.
    pub(crate) fn end(self) {
        let Self { met, missed } = self;
        println!("\n{met} targets met, {missed} missed; load {} at the end", load());
    }
}

/// Prints a row that says something beside the figures.
pub(crate) fn note(text: &str) {
    println!("| {text} | | | | | |");
}

/// The values in rising order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value at this fraction of the way from the least to the greatest; the mean of two where it falls between
/// them; NaN without values.
pub(crate) fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let at = |rank: usize| sorted.get(rank).copied().unwrap_or(f64::NAN);
    let position = fraction * sorted.len().saturating_sub(1) as f64;
    f64::midpoint(at(position.floor() as usize), at(position.ceil() as usize))
}

/// The load of the last minute: processes that run or want to.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": ").map(|(_, model)| model))
        .collect();
    format!("{} processors ({})", models.len(), models.first().unwrap_or(&"unknown"))
}
